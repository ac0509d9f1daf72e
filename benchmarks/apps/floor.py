"""The floors: the service's own stack with nothing behind it. Reads the image, then sends an answer made before.

`/short` is read and answered on the service's own fast path, `/usual` by FastAPI as its documentation shows it.
"""

import json
import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, File, Request, Response
from starlette.routing import Route

from service.http.bodies import BodyLimits, read_body
from service.http.image_bodies import image_in
from service.inference.waiting_bytes import WaitingBytes

_CLASSES = [{"label": "Ankle boot", "index": 9, "probability": 0.9999924898147583}] * 10
_ANSWER = json.dumps(
    {**_CLASSES[0], "probabilities": _CLASSES, "model": {"name": "best-cnn-model", "version": "0" * 12}}
).encode()
_BODIES = BodyLimits(10 * 1024 * 1024, 10.0, WaitingBytes(320 * 1024 * 1024))

app = FastAPI()


@app.post("/usual/raw")
async def _usual_raw(request: Request) -> Response:
    await request.body()
    return Response(_ANSWER, media_type="application/json")


@app.post("/usual/multipart")
async def _usual_multipart(file: Annotated[bytes, File()]) -> Response:
    return Response(_ANSWER, media_type="application/json")


async def _short(request: Request) -> Response:
    image_in(await read_body(request, _BODIES), request.headers.get("content-type", ""))
    return Response(_ANSWER, media_type="application/json")


app.router.routes.insert(0, Route("/short", _short, methods=["POST"]))


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http="httptools", access_log=False, log_level="warning")
