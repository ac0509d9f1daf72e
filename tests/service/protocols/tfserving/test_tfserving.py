"""TensorFlow Serving's REST API: the shipped model where its answers matter, else a fake that shows what it got."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from models.file_version import file_version
from service.settings import ServiceSettings
from tests.applications import application, context_of, runner_of, tensorflow_engine
from tests.fakes import FakeEngine, image_for
from tests.samples import SAMPLE_FILES, SHIPPED_MODEL, encoded, pixels_of
from tests.service.api.test_predict import held as held  # noqa: PLC0414 - a fixture
from tests.service.api.test_predict import queue_up, stop_taking

PREDICT = "/v1/models/fake:predict"
CLASSIFY = "/v1/models/fake:classify"
REAL = "/v1/models/best-cnn-model"
FAKE_VERSION = str(0x0123456789AB)
GZIP = {"Content-Encoding": "gzip"}


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def row(label: str) -> Any:
    """The 4×4×1 numbers that the fake answers with `label`."""
    return (image_for(label)[..., np.newaxis] / 255).tolist()


OWL, CAT = row("owl"), row("cat")
OWL_IMAGE = b64(encoded(image_for("owl")))


def answered(rows: Any) -> list[str]:
    return [("cat", "dog", "owl")[int(np.argmax(row))] for row in rows]


def assert_error(response: httpx.Response, status: int, *parts: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    for part in parts:
        assert part in response.json()["error"]


@pytest.fixture(scope="module")
def real() -> Iterator[TestClient]:
    classifier = tensorflow_engine(SHIPPED_MODEL)
    with TestClient(application(ServiceSettings(), classifier)) as client:
        yield client


@pytest.mark.parametrize("file", SAMPLE_FILES[::40], ids=lambda file: file.stem)
def test_a_image_and_its_numbers_are_answered_as_predict_answers_it(real: TestClient, file: Any) -> None:
    ours = real.post("/predict", files={"file": file.read_bytes()}).json()["probabilities"]
    wanted = [entry["probability"] for entry in sorted(ours, key=lambda entry: entry["index"])]
    numbers = pixels_of(file) / 255
    rows = [b64(file.read_bytes()), numbers.tolist(), numbers[..., np.newaxis].tolist()]
    by_row = real.post(f"{REAL}:predict", json={"instances": rows}).json()
    assert by_row.keys() == {"predictions"}
    by_column = real.post(f"{REAL}:predict", json={"inputs": rows}).json()
    assert by_column.keys() == {"outputs"}
    for probabilities in (*by_row["predictions"], *by_column["outputs"]):
        assert probabilities == pytest.approx(wanted, abs=1e-6)


def test_classes_are_told_by_label_and_score_in_the_networks_order(real: TestClient) -> None:
    examples = [b64(file.read_bytes()) for file in (SAMPLE_FILES[0], SAMPLE_FILES[-1])]
    results = real.post(f"{REAL}:classify", json={"examples": examples}).json()["results"]
    scores = real.post(f"{REAL}:predict", json={"instances": examples}).json()["predictions"]
    labels = real.get("/model-card").json()["class_names"]
    assert results == [[list(pair) for pair in zip(labels, one, strict=True)] for one in scores]


def test_what_is_no_number_goes_through_the_network_and_harms_no_neighbour(real: TestClient) -> None:
    image = (pixels_of(SAMPLE_FILES[0]) / 255).tolist()
    odd = [[float("nan")] * 28] * 28
    body = json.dumps({"instances": [image, odd]})
    assert "NaN" in body
    rows = real.post(f"{REAL}:predict", content=body).json()["predictions"]
    assert len(rows) == 2  # what the second one is, differs between processors
    (alone,) = real.post(f"{REAL}:predict", json={"instances": [image]}).json()["predictions"]
    assert rows[0] == pytest.approx(alone, abs=1e-6)


def test_metadata_are_those_of_the_shipped_network(real: TestClient) -> None:
    metadata = real.get(f"{REAL}/metadata").json()
    version = str(int(file_version(SHIPPED_MODEL), 16))
    assert metadata["model_spec"] == {"name": "best-cnn-model", "signature_name": "", "version": version}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature == {
        "inputs": {
            "input": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {
                    "dim": [{"size": size, "name": ""} for size in ("-1", "28", "28", "1")],
                    "unknown_rank": False,
                },
                "name": "input:0",
            }
        },
        "outputs": {
            "output": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {"dim": [{"size": size, "name": ""} for size in ("-1", "10")], "unknown_rank": False},
                "name": "output:0",
            }
        },
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


def test_numbers_reach_the_network_as_they_are_and_images_scaled(client: TestClient, classifier: FakeEngine) -> None:
    values = np.random.default_rng(0).normal(0, 300, (2, 4, 4, 1)).astype(np.float32)
    rows = [values[0].tolist(), OWL_IMAGE, values[1, ..., 0].tolist()]
    assert client.post(PREDICT, json={"instances": rows}).status_code == 200
    (batch,) = classifier.batches
    assert batch.dtype == np.float32
    assert np.array_equal(batch[[0, 2]], values)
    assert np.array_equal(batch[1], np.float32(image_for("owl")[..., np.newaxis]) / np.float32(255))


def test_infinity_and_what_float32_does_not_reach_are_taken(client: TestClient, classifier: FakeEngine) -> None:
    tokens = "[[NaN, Infinity, -Infinity, 1e39]" + ", [0, 0, 0, 0]" * 3 + "]"
    response = client.post(PREDICT, content=f'{{"instances": [{tokens}]}}')
    assert response.text == '{"predictions":[[NaN,NaN,NaN]]}'
    assert np.array_equal(classifier.batches[0][0, 0, :, 0], [np.nan, np.inf, -np.inf, np.inf], equal_nan=True)


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        ({"instances": [OWL, CAT]}, ["owl", "cat"]),
        ({"instances": [{"input": OWL}, CAT, OWL_IMAGE, {"input": OWL_IMAGE}]}, ["owl", "cat", "owl", "owl"]),
        ({"instances": [OWL], "signature_name": "serving_default"}, ["owl"]),
        ({"instances": [OWL], "signature_name": "", "something": ["else"]}, ["owl"]),
        ({"inputs": [OWL, OWL_IMAGE]}, ["owl", "owl"]),
        ({"inputs": {"input": [CAT, OWL]}}, ["cat", "owl"]),
        ({"inputs": OWL_IMAGE}, ["owl"]),
        ({"inputs": {"input": OWL_IMAGE}}, ["owl"]),
    ],
    ids=str,
)
def test_rows_and_columns_are_read_in_all_their_forms(client: TestClient, body: Any, labels: list[str]) -> None:
    answer = client.post(PREDICT, json=body).json()
    assert answer.keys() == {"predictions" if "instances" in body else "outputs"}
    (rows,) = answer.values()
    assert answered(rows) == labels


def test_base64_may_be_broken_into_lines(client: TestClient) -> None:
    text = base64.encodebytes(encoded(image_for("owl"))).decode()
    assert "\n" in text.strip()
    assert answered(client.post(PREDICT, json={"instances": [{"b64": text}]}).json()["predictions"]) == ["owl"]


def test_colours_are_a_third_axis_that_cannot_be_left_out(client: TestClient, classifier: FakeEngine) -> None:
    classifier.card = FakeEngine.card_for(4, 4, 3)
    values = np.random.default_rng(0).random((4, 4, 3)).astype(np.float32)
    assert client.post(PREDICT, json={"inputs": [values.tolist()]}).status_code == 200
    assert np.array_equal(classifier.batches[0][0], values)
    assert_error(client.post(PREDICT, json={"inputs": [values[..., 0].tolist()]}), 400, "(4, 4)", "(4, 4, 3)")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["empty"]),
        (b"{", ["1 bytes of JSON cannot be read"]),
        (b'{"instances": [\xff]}', ["JSON cannot be read"]),
        (b"[1]", ["a list", "a JSON object"]),
        (b"null", ["null", "a JSON object"]),
        (b"{}", ["no rows", "exactly one of 'instances' and 'inputs'"]),
        (b'{"examples": [1]}', ["no rows"]),
        (b'{"instances": ' + b"[" * 500 + b"]" * 500 + b"}", ["recursion limit"]),
        (b'{"instances": [' + b"0," * 5000 + b"0]}", ["5,000 values", "at most 1,080", "send several requests"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_of_another_form_is_told(client: TestClient, content: bytes, parts: list[str]) -> None:
    assert_error(client.post(PREDICT, content=content), 400, *parts)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"instances": [OWL], "inputs": [OWL]}, ["'instances' and 'inputs'", "exactly one"]),
        ({"instances": []}, ["'instances' is an empty list", "1 to 5 rows"]),
        ({"inputs": []}, ["'inputs' is an empty list"]),
        ({"instances": OWL_IMAGE}, ["'instances' is an object"]),
        ({"instances": 1}, ["'instances' is a number"]),
        ({"inputs": 1.5}, ["'inputs' is a number"]),
        ({"instances": [OWL] * 6}, ["6 rows", "at most 5"]),
        ({"instances": [OWL], "signature_name": "other"}, ["'other'", "'serving_default'"]),
        ({"instances": [OWL], "signature_name": None}, ["signature_name is None"]),
        ({"instances": [OWL], "signature_name": 0}, ["signature_name is 0"]),
        ({"instances": [OWL, 7]}, ["instances[1] is a number", "(4, 4, 1) or (4, 4)"]),
        ({"instances": ["text"]}, ["instances[0] is a text"]),
        ({"instances": [True]}, ["instances[0] is true or false"]),
        ({"instances": [OWL[:3]]}, ["shape (3, 4, 1)", "expected (4, 4, 1)"]),
        ({"instances": [[[0] * 5] * 4]}, ["shape (4, 5)"]),
        ({"instances": [[[[0, 0]] * 4] * 4]}, ["shape (4, 4, 2)"]),
        ({"instances": [[[[[0]]] * 4] * 4]}, ["shape (4, 4, 1, 1)"]),
        ({"instances": [[0] * 16]}, ["shape (16,)"]),
        ({"instances": [[]]}, ["shape (0,)"]),
        ({"inputs": OWL}, ["inputs[0] has the shape (4, 1)"]),
        ({"instances": [[[0] * 4, [0] * 3, [0] * 4, [0] * 4]]}, ["instances[0] is ragged"]),
        ({"instances": [[[0] * 4] * 3 + [0]]}, ["ragged"]),
        ({"instances": [[[[0]] * 3 + [0]] * 4]}, ["ragged"]),
        ({"instances": [[["0"] * 4] * 4]}, ["a text in it"]),
        ({"instances": [[[True] + [0] * 3] * 4]}, ["true or false in it"]),
        ({"instances": [[[None] * 4] * 4]}, ["null in it"]),
        ({"instances": [[[OWL_IMAGE] * 4] * 4]}, ["an object in it"]),
        ({"instances": [[[10**400] * 4] * 4]}, ["no float holds"]),
        ({"instances": [{**OWL_IMAGE, "note": ""}]}, ["'b64', 'note'", "'b64' alone"]),
        ({"instances": [{"input": OWL, "note": ""}]}, ["'input', 'note'", "alone"]),
        ({"instances": [{"other": OWL}]}, ["'other'", "'input'"]),
        ({"instances": [{}]}, ["of nothing"]),
        ({"instances": [{"input": {"input": OWL}}]}, ["'input'"]),
        ({"inputs": [{"input": OWL}]}, ["'b64' alone"]),
        ({"inputs": {"input": [OWL], "other": [OWL]}}, ["'input', 'other'", "one input"]),
        ({"inputs": {"other": [OWL]}}, ["'other'"]),
        ({"instances": [{"b64": 1}]}, ["'b64' is a number"]),
        ({"instances": [{"b64": "§"}]}, ["base64"]),
        ({"instances": [{"b64": "abcde"}]}, ["base64"]),
        ({"instances": [{"b64": ""}]}, ["0 bytes"]),
        ({"instances": [OWL, b64(b"I am a text")]}, ["instances[1]", "PNG, JPEG"]),
        ({"inputs": [b64(encoded(image_for("owl"))[:40])]}, ["inputs[0]", "damaged or cut short"]),
        ({"inputs": [b64(encoded(np.zeros((501, 500), np.uint8)))]}, ["500 × 501"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_rows_of_another_form_are_told_and_never_reach_the_network(
    client: TestClient, classifier: FakeEngine, body: Any, parts: list[str]
) -> None:
    assert_error(client.post(PREDICT, json=body), 400, *parts)
    assert classifier.batches == []


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"instances": [OWL]}, ["no rows", "expected 'examples'"]),
        ({"examples": []}, ["empty list"]),
        ({"examples": [OWL]}, ["examples[0] is a list", "'input'"]),
        ({"examples": [{"other": OWL}]}, ["'other'"]),
    ],
    ids=str,
)
def test_examples_of_another_form_are_told(client: TestClient, body: Any, parts: list[str]) -> None:
    assert_error(client.post(CLASSIFY, json=body), 400, *parts)


def test_an_example_is_numbers_under_the_inputs_name_or_a_image(client: TestClient) -> None:
    examples = [{"input": CAT}, OWL_IMAGE, {"input": OWL_IMAGE}]
    results = client.post(CLASSIFY, json={"signature_name": "serving_default", "examples": examples}).json()["results"]
    assert [max(result, key=lambda pair: pair[1])[0] for result in results] == ["cat", "owl", "owl"]
    assert [label for label, _ in results[0]] == ["cat", "dog", "owl"]


@pytest.mark.parametrize("place", ["", f"/versions/{FAKE_VERSION}", f"/versions/00{FAKE_VERSION}", "/labels/stable"])
def test_the_model_is_asked_with_or_without_its_version_or_label(client: TestClient, place: str) -> None:
    base = f"/v1/models/fake{place}"
    assert client.get(base).json() == {
        "model_version_status": [
            {"version": FAKE_VERSION, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    assert client.get(f"{base}/metadata").json()["model_spec"]["version"] == FAKE_VERSION
    assert answered(client.post(f"{base}:predict", json={"instances": [OWL]}).json()["predictions"]) == ["owl"]
    assert client.post(f"{base}:classify", json={"examples": [OWL_IMAGE]}).status_code == 200


@pytest.mark.parametrize("call", ["", "/metadata", ":predict", ":classify"])
@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("other", "model 'other'"),
        ("fake/versions/1", "version 1 of 'fake'"),
        (f"fake/versions/{'9' * 5000}", "version 9999"),
        ("fake/labels/canary", "label 'canary'"),
        ("fake/versions/0123456789ab", "there is no call"),
        ("fake/versions/²", "there is no call"),
        (f"fake/versions/{FAKE_VERSION}/labels/stable", "there is no call"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_not_served_is_404(client: TestClient, place: str, part: str, call: str) -> None:
    for method in ("GET", "POST"):
        assert_error(client.request(method, f"/v1/models/{place}{call}"), 404, part)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/V1/Models",
        "/v1/models/fake:regress",
        "/v1/models/fake/metadata:predict",
        "/v1/models/fake/versions",
        "/v1/models/fake/labels",
        "/v1/models/fake/other",
    ],
)
def test_a_call_that_is_not_there_is_404_and_told_what_is(client: TestClient, path: str) -> None:
    for method in ("GET", "POST"):
        assert_error(client.request(method, path), 404, path, "/v1/models/fake", ":predict")


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", PREDICT, "POST"),
        ("PUT", CLASSIFY, "POST"),
        ("POST", "/v1/models/fake", "GET"),
        ("DELETE", "/v1/models/fake/metadata", "GET"),
        ("TRACE", "/v1/models/fake", "GET"),
    ],
)
def test_another_method_is_400_as_this_protocol_has_it(client: TestClient, method: str, path: str, right: str) -> None:
    assert_error(client.request(method, path), 400, method, right)


def test_paths_match_without_regard_to_case(client: TestClient) -> None:
    asked = client.post("/V1/Models/FAKE/Labels/STABLE:Predict", json={"instances": [OWL]})
    assert answered(asked.json()["predictions"]) == ["owl"]
    assert client.get(f"/v1/MODELS/fake/VERSIONS/{FAKE_VERSION}/MetaData").status_code == 200
    assert_error(client.get("/V1/MODELS/other"), 404)


def test_a_body_may_be_gzipped(client: TestClient) -> None:
    body = gzip.compress(json.dumps({"instances": [OWL, OWL_IMAGE]}).encode())
    for coding in ("gzip", "GZIP"):
        answer = client.post(PREDICT, content=body, headers={"Content-Encoding": coding}).json()
        assert answered(answer["predictions"]) == ["owl", "owl"]


@pytest.mark.parametrize(
    ("content", "headers", "part"),
    [
        (b'{"instances": []}', GZIP, "cannot be unpacked"),
        (gzip.compress(b"{}", mtime=0)[:-3], GZIP, "cut short"),
        (gzip.compress(b"{}", mtime=0) + b"x", GZIP, "other bytes follow its end"),
        (gzip.compress(b"{}", mtime=0)[:-8] + bytes(8), GZIP, "cannot be unpacked"),
        (b"", GZIP, "cut short"),
        (b"{}", {"Content-Encoding": "br"}, "'br'; send it as gzip"),
    ],
    ids=["plain", "short", "long", "wrong", "empty", "another"],
)
def test_a_body_that_is_no_gzip_is_told(client: TestClient, content: bytes, headers: Any, part: str) -> None:
    assert_error(client.post(PREDICT, content=content, headers=headers), 400, part)


def test_a_small_body_that_decompresses_to_a_large_one_is_refused(client: TestClient) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    assert len(bomb) < 20_000
    # What gzip's last four bytes say of the length is not believed.
    for content in (bomb, bomb[:-4] + (10).to_bytes(4, "little")):
        assert_error(client.post(PREDICT, content=content, headers=GZIP), 400, "unpacked", "20,000 bytes")


def test_a_body_that_is_too_large_is_refused_declared_or_not(client: TestClient) -> None:
    assert_error(client.post(PREDICT, content=bytes(20_001)), 400, "20,000 bytes")
    undeclared = client.post(PREDICT, content=iter([bytes(1000)] * 21))
    assert "content-length" not in undeclared.request.headers
    assert_error(undeclared, 400, "20,000 bytes")


def test_a_large_body_is_read_beside_the_event_loop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = context_of(client).prediction
    threads: list[Any] = []
    on_a_thread = prediction.on_a_thread

    async def watched(decode: Any, deadline: float) -> Any:
        return await on_a_thread(lambda: threads.append(threading.current_thread()) or decode(), deadline)

    monkeypatch.setattr(prediction, "on_a_thread", watched)
    body = json.dumps({"instances": [OWL]}).encode()
    client.post(PREDICT, content=body)
    assert threads == []
    monkeypatch.setattr("service.protocols.tfserving.routes.SMALL_BODY_BYTES", len(body) - 1)
    assert answered(client.post(PREDICT, content=body).json()["predictions"]) == ["owl"]
    (thread,) = threads
    loops = client.portal.call(lambda: asyncio.sleep(0, threading.current_thread()))  # type: ignore[union-attr]
    assert thread is not loops


@pytest.mark.parametrize("path", [PREDICT, CLASSIFY])
def test_past_the_queue_the_answer_is_503_at_once(client: TestClient, held: threading.Event, path: str) -> None:
    queue_up(client, 5)
    response = client.post(path, content=b"not even looked at")
    assert_error(response, 503, "6 images wait")
    assert response.headers["retry-after"] == "1"
    assert client.get("/v1/models/fake").status_code == 200


def test_rows_that_do_not_fit_the_queue_are_refused_whole(
    client: TestClient, classifier: FakeEngine, held: threading.Event
) -> None:
    queue_up(client, 3)
    assert_error(client.post(PREDICT, json={"instances": [OWL] * 3}), 503, "4 images wait")
    assert classifier.batches == []


def test_an_answer_that_is_not_there_in_time_is_504(
    client: TestClient, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_of(client), "_timeout_s", 0.01)
    assert_error(client.post(PREDICT, json={"instances": [OWL]}), 504, "in time")


def test_a_service_that_is_stopping_says_so(client: TestClient) -> None:
    stop_taking(client)
    response = client.post(PREDICT, json={"instances": [OWL]})
    assert_error(response, 503, "stopping")
    assert response.headers["retry-after"] == "1"
    (status,) = client.get("/v1/models/fake").json()["model_version_status"]
    assert status["state"] == "UNLOADING"


@pytest.mark.parametrize("broken", ["service.protocols.tfserving.routes._json", "tests.fakes.FakeEngine.infer"])
def test_a_fault_of_our_own_is_500_and_says_no_more(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(broken, lambda *_: 1 / 0)
    response = client.post(PREDICT, json={"instances": [OWL]})
    assert_error(response, 500, "its log says more")
    assert "division" not in response.text


def test_a_missing_key_is_told_in_this_protocols_way() -> None:
    settings = ServiceSettings(api_keys=["0" * 64])
    with TestClient(application(settings, FakeEngine())) as client:
        assert_error(client.post("/V1/models/fake:predict", json={"instances": [OWL]}), 401, "needs an API key")


def test_the_services_own_calls_keep_their_problem_documents(client: TestClient) -> None:
    for path in ("/v1", "/v1/other", "/predict"):
        assert client.get(path).headers["content-type"] == "application/problem+json"
