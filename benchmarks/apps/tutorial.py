"""The way of most tutorials: a route that calls `model.predict` for each image."""

import io
import sys
from typing import Annotated, Any

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, File, UploadFile
from PIL import Image

from benchmarks.apps.network import MODEL
from models.card import FASHION_MNIST_CLASS_NAMES

app = FastAPI()
model = keras.models.load_model(MODEL, compile=False)


@app.post("/predict")
def predict(file: Annotated[UploadFile, File()]) -> Any:
    image = Image.open(io.BytesIO(file.file.read())).convert("L").resize((28, 28))
    probabilities = model.predict(np.asarray(image).reshape(1, 28, 28, 1) / 255.0, verbose=0)[0]
    index = int(probabilities.argmax())
    return {"label": FASHION_MNIST_CLASS_NAMES[index], "probability": float(probabilities[index])}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
