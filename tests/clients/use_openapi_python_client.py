"""Calls the service at the address given, with an image and a file that is none, by openapi-python-client's client."""

import base64
import io
import sys
from pathlib import Path

from image_service import AuthenticatedClient
from image_service.api.model import model_card
from image_service.api.open_inference_protocol import oip_model_infer
from image_service.api.operations import live, metrics
from image_service.api.predict import predict, predict_batch
from image_service.api.tensorflow_serving import tfserving_predict
from image_service.models import (
    Answer,
    BatchAnswer,
    BatchPrediction,
    BatchProblem,
    EncodedImage,
    Health,
    ImageForm,
    ImagesForm,
    InferRequest,
    InferResponse,
    InputTensor,
    InputTensorDatatype,
    ModelCardAnswer,
    Preparation,
    Problem,
    RowPredictRequest,
    RowPredictResponse,
)
from image_service.types import File


def main(address: str, image: bytes, other: bytes) -> None:
    """Raises AssertionError where an answer is not of the shape, or does not say what it should."""

    def file(content: bytes, name: str) -> File:
        return File(io.BytesIO(content), name, "image/png")

    client = AuthenticatedClient(address, token="KEY")
    health = live.sync(client=client)
    assert isinstance(health, Health)

    by_form = predict.sync(client=client, body=ImageForm(file(image, "boot.png")), top_k=2)
    by_body = predict.sync(client=client, body=file(image, "boot.png"), top_k=2, preparation=Preparation.NONE)
    for answer in (by_form, by_body):
        assert isinstance(answer, Answer)
        assert (answer.label, len(answer.probabilities)) == ("Ankle boot", 2)

    refused = predict.sync_detailed(client=client, body=ImageForm(file(other, "notes.txt")))
    assert refused.status_code == 415
    assert isinstance(refused.parsed, Problem)
    assert "not an image" in refused.parsed.detail

    batch = predict_batch.sync(client=client, body=ImagesForm([file(image, "boot.png"), file(other, "notes.txt")]))
    assert isinstance(batch, BatchAnswer)
    found, problem = batch.results
    assert isinstance(found, BatchPrediction)
    assert isinstance(problem, BatchProblem)
    assert (found.prediction.label, problem.problem.status) == ("Ankle boot", 415)

    card = model_card.sync(client=client)
    assert isinstance(card, ModelCardAnswer)
    assert card.class_names[9] == "Ankle boot"
    assert card.evaluation
    assert card.evaluation.test.accuracy > 0.9

    encoded = base64.b64encode(image).decode()
    name = card.name
    rows = tfserving_predict.sync(name, client=client, body=RowPredictRequest([EncodedImage(encoded)]))
    assert isinstance(rows, RowPredictResponse)
    tensor = InputTensor("input", [1], InputTensorDatatype.BYTES, data=[encoded])
    inferred = oip_model_infer.sync(name, client=client, body=InferRequest([tensor]))
    assert isinstance(inferred, InferResponse)
    assert inferred.outputs[0].data == rows.predictions[0]

    text = metrics.sync(client=client)
    assert isinstance(text, str)
    assert "keras_service_requests_total" in text


main(sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]).read_bytes())
