"""Calls the service at the address given, with an image and a file that is none, by OpenAPI Generator's client."""

import base64
import sys
from pathlib import Path

from image_service_api import (
    ApiClient,
    ApiException,
    BatchPrediction,
    BatchProblem,
    Configuration,
    EncodedImage,
    ModelApi,
    OperationsApi,
    PredictApi,
    Preparation,
    Problem,
    RowPredictRequest,
    RowPredictRequestInstancesInner,
    RowPredictResponse,
    ServingRequest,
    TensorflowServingApi,
)


def refusal(predict: PredictApi, content: bytes) -> Problem:
    """Why `content` has no answer."""
    try:
        predict.predict(("notes.txt", content))
    except ApiException as error:
        if isinstance(error.data, Problem):
            return error.data
        raise
    raise AssertionError("a text was taken for an image")


def main(address: str, image: bytes, other: bytes) -> None:
    """Raises AssertionError where an answer is not of the shape, or does not say what it should."""
    with ApiClient(Configuration(host=address)) as client:
        assert OperationsApi(client).live().status == "live"

        predict = PredictApi(client)
        answer = predict.predict(("boot.png", image), top_k=2, preparation=Preparation.AUTO)
        assert (answer.label, len(answer.probabilities)) == ("Ankle boot", 2)

        refused = refusal(predict, other)
        assert refused.status == 415
        assert "not an image" in refused.detail

        batch = predict.predict_batch([("boot.png", image), ("notes.txt", other)])
        found, problem = (result.actual_instance for result in batch.results)
        assert isinstance(found, BatchPrediction)
        assert isinstance(problem, BatchProblem)
        assert (found.prediction.label, problem.problem.status) == ("Ankle boot", 415)

        card = ModelApi(client).model_card()
        assert card.class_names[9] == "Ankle boot"
        assert card.evaluation
        assert card.evaluation.test.accuracy > 0.9

        encoded = EncodedImage(b64=base64.b64encode(image).decode())
        row = RowPredictRequestInstancesInner(encoded)
        rows = TensorflowServingApi(client).tfserving_predict(
            card.name, ServingRequest(RowPredictRequest(instances=[row]))
        )
        assert isinstance(rows.actual_instance, RowPredictResponse)
        assert rows.actual_instance.predictions[0][9] > 0.9

        assert "keras_service_requests_total" in OperationsApi(client).metrics()


main(sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]).read_bytes())
