"""The calls that platforms make at paths which they name: health without a body, an image or instances."""

import base64
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import ServiceSettings
from tests.applications import application, runner_of
from tests.fakes import FakeEngine, image_for
from tests.samples import encoded

OWL, CAT = (encoded(image_for(label)) for label in ("owl", "cat"))
KEY = "secret"
KEY_SHA256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"


def client_of(**settings: Any) -> TestClient:
    return TestClient(application(ServiceSettings(**settings), FakeEngine()), raise_server_exceptions=False)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with client_of(health_route="/ping", predict_route="/invocations", max_images_per_request=5) as client:
        yield client


def b64(image: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(image).decode()}


def predicted(client: TestClient, image: bytes, **query: object) -> Any:
    answer = client.post("/predict", params=query, content=image)
    assert answer.status_code == 200
    return answer.json()


def test_health_has_no_body(client: TestClient) -> None:
    answer = client.get("/ping")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("content_type", ["application/x-image", "image/png", "application/octet-stream", ""])
def test_an_image_is_answered_as_by_predict(client: TestClient, content_type: str) -> None:
    answer = client.post("/invocations", content=OWL, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()) == (200, predicted(client, OWL))
    assert answer.json()["label"] == "owl"


@pytest.mark.parametrize("body", [b64(OWL), {"image": b64(OWL)}, {"image": b64(OWL)["b64"]}])
def test_an_image_in_json_is_answered_as_by_predict(client: TestClient, body: Any) -> None:
    assert client.post("/invocations", json=body).json() == predicted(client, OWL)


def test_each_instance_is_answered_as_by_predict(client: TestClient) -> None:
    numbers = (image_for("dog") / 255).tolist()
    answer = client.post("/invocations", json={"instances": [b64(CAT), numbers, {"input": b64(OWL)}]})
    dog = predicted(client, encoded(image_for("dog")))
    assert answer.json() == {"predictions": [predicted(client, CAT), dog, predicted(client, OWL)]}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("top_k", [1, 2.0])
def test_parameters_are_those_of_predict(client: TestClient, top_k: float) -> None:
    body = {"instances": [b64(OWL)], "parameters": {"top_k": top_k, "preparation": "none"}}
    (answer,) = client.post("/invocations", json=body).json()["predictions"]
    assert answer == predicted(client, OWL, top_k=int(top_k), preparation="none")
    assert len(answer["probabilities"]) == top_k


@pytest.mark.parametrize("accept", ["application/jsonlines", "application/jsonlines, application/json;q=0.5"])
def test_lines_of_json_where_they_are_accepted(client: TestClient, accept: str) -> None:
    headers = {"Accept": accept}
    answer = client.post("/invocations", json={"instances": [b64(CAT), b64(OWL)]}, headers=headers)
    assert answer.headers["content-type"] == "application/jsonlines"
    assert [json.loads(line) for line in answer.text.splitlines()] == [predicted(client, CAT), predicted(client, OWL)]


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/csv", "application/json; verbose"])
def test_json_where_it_is_accepted_or_nothing_that_there_is(client: TestClient, accept: str) -> None:
    answer = client.post("/invocations", content=OWL, headers={"Accept": accept})
    assert (answer.headers["content-type"], answer.json()) == ("application/json", predicted(client, OWL))


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"instances": []}, 400, "'instances' is an empty list"),
        ({"instances": [b64(OWL)] * 6}, 400, "'instances' has 6 rows, expected at most 5"),
        ({"instances": [{"image_bytes": "x"}]}, 400, "expected 'b64' alone"),
        ({"instances": [b64(OWL)], "parameters": {"topk": 1}}, 400, "'parameters' has 'topk', expected an object with"),
        ({"instances": [b64(OWL)], "parameters": [1]}, 400, "'parameters' has a list"),
        ({"instances": [b64(OWL)], "parameters": {"top_k": 0}}, 400, "top_k is 0, expected a whole number"),
        ({"instances": [b64(OWL)], "parameters": {"top_k": True}}, 400, "top_k is True"),
        ({"instances": [b64(OWL)], "parameters": {"preparation": "x"}}, 400, "expected 'auto' or 'none'"),
        ({"instances": [b64(OWL)], "model": "cat"}, 400, "the JSON has 'model', expected 'parameters' at most"),
        ({"inputs": [b64(OWL)]}, 400, "the JSON has 'inputs', expected 'instances'"),
        ([[1, 2]], 400, "the body is a list, expected a JSON object with 'instances'"),
        ({"instances": [b64(OWL), b64(b"no image")]}, 415, "instances[1]: "),
        ({"instances": [b64(OWL), [[[math.nan]] * 4] * 4]}, 422, "instances[1]: the model's probabilities are no"),
    ],
)
def test_what_is_wrong_is_told_as_a_problem(client: TestClient, body: Any, status: int, said: str) -> None:
    answer = client.post("/invocations", content=json.dumps(body))  # which writes NaN, as many programs do
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]


def test_an_image_that_is_declared_as_json_is_an_image(client: TestClient) -> None:
    answer = client.post("/invocations", content=OWL, headers={"Content-Type": "application/json"})
    assert answer.json() == predicted(client, OWL)


@pytest.mark.parametrize("query", ["model=nonsense", "preparation=none", "top_k=2"])
def test_parameters_in_the_address_are_refused_where_they_have_no_effect(client: TestClient, query: str) -> None:
    answer = client.post(f"/invocations?{query}", content=OWL)
    assert answer.status_code == 400
    assert "unknown query parameter" in answer.json()["detail"]


def test_a_csv_of_pixels_is_no_image(client: TestClient) -> None:
    answer = client.post("/invocations", content=b"0,0,255,0\n", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 415
    assert "text/csv" in answer.json()["detail"]


def test_without_a_platform_there_are_no_such_calls() -> None:
    with client_of() as client:
        assert client.get("/ping").status_code == 404
        assert client.post("/invocations", content=OWL).status_code == 404


def test_at_predict_itself_both_are_answered() -> None:
    with client_of(predict_route="/predict") as client:
        alone = predicted(client, OWL)
        assert client.post("/predict", json={"instances": [b64(OWL)]}).json() == {"predictions": [alone]}
        assert "input" in predicted(client, OWL, return_input=True)  # as the page asks


@pytest.mark.parametrize("query", ["", "?normalize=false"])
def test_another_call_of_the_service_keeps_its_answers(query: str) -> None:
    with client_of(predict_route="/embed") as client:
        assert "embedding" in client.post(f"/embed{query}", content=OWL).json()["results"][0]


@pytest.mark.parametrize("path", ["/health/predict", "/web/predict", "/docs"])
def test_predictions_need_a_key_also_below_what_is_open(path: str) -> None:
    with client_of(predict_route=path, api_keys=(KEY_SHA256,)) as client:
        assert client.post(path, content=OWL).status_code == 401
        assert client.post(path, content=OWL, headers={"X-API-Key": KEY}).status_code == 200


def test_another_protocols_path_keeps_its_answers() -> None:
    with client_of(predict_route="/v1/models/fake:predict") as client:
        ((scores),) = client.post("/v1/models/fake:predict", json={"instances": [b64(OWL)]}).json()["predictions"]
        assert scores == pytest.approx([0, 0, 1], abs=1e-5)


def test_health_is_open_without_a_key_and_nothing_else_is() -> None:
    with client_of(health_route="/model-card", predict_route="/invocations", api_keys=(KEY_SHA256,)) as client:
        assert (client.get("/model-card").status_code, client.get("/model-card").content) == (200, b"")
        assert client.post("/model-card").status_code == 401
        assert client.post("/invocations", content=OWL).status_code == 401
        assert client.post("/invocations", content=OWL, headers={"X-API-Key": KEY}).status_code == 200


def test_health_that_there_is_stays_as_it_is() -> None:
    with client_of(health_route="/health/ready") as client:
        assert client.get("/health/ready").json() == {"status": "ready"}


def test_health_is_503_while_the_service_stops(client: TestClient) -> None:
    async def close() -> None:
        await runner_of(client).close(1)

    assert client.portal is not None
    client.portal.call(close)
    assert client.get("/ping").status_code == 503


def test_the_document_does_not_name_them(client: TestClient) -> None:
    assert not {"/ping", "/invocations"} & client.get("/openapi.json").json()["paths"].keys()
