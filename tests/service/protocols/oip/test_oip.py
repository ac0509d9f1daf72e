"""The Open Inference Protocol, by hand on the fake and the shipped model, and by Triton's own, unmodified client."""

import base64
import gzip
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.http as triton
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.card import ModelFileError, read_card
from models.file_version import file_version
from service.protocols.oip import infer as infer_module
from service.settings import ServiceSettings
from tests.applications import application, context_of, tensorflow_engine
from tests.fakes import FakeEngine, image_for
from tests.processes import Service
from tests.samples import ANKLE_BOOT, DRAWINGS, SAMPLE_FILES, SHIPPED_MODEL, encoded, pixels_of
from tests.service.api.test_predict import assert_problem, held, queue_up, stop_taking  # noqa: F401
from tests.service.protocols.tfserving.test_tfserving import assert_error

FAKE = "/v2/models/fake"
OWL = image_for("owl")
OWL_PNG = encoded(OWL)
PLAIN = {"Accept-Encoding": "identity"}
LENGTH = "Inference-Header-Content-Length"


def question(shape: list[int], datatype: str, data: Any = None, **more: Any) -> dict[str, Any]:
    tensor = {"name": "input", "shape": shape, "datatype": datatype, "data": data}
    return {"inputs": [{key: value for key, value in tensor.items() if value is not None}], **more}


def pixels_question(label: str = "owl", **more: Any) -> dict[str, Any]:
    return question([1, 4, 4, 1], "UINT8", image_for(label).ravel().tolist(), **more)


def binary_question(shape: list[int], datatype: str, content: bytes, **more: Any) -> dict[str, Any]:
    """The arguments of a POST whose JSON is followed by `content`."""
    asked = question(shape, datatype, **more)
    asked["inputs"][0]["parameters"] = {"binary_data_size": len(content)}
    head = json.dumps(asked).encode()
    return {"content": head + content, "headers": {LENGTH: str(len(head))}}


def with_length(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def ask(client: TestClient, path: str = FAKE, **request: Any) -> npt.NDArray[Any]:
    """The output of an answer, wherever it is."""
    response = client.post(f"{path}/infer", **request)
    assert response.status_code == 200, response.text
    length = response.headers.get(LENGTH)
    answer = json.loads(response.content[: None if length is None else int(length)])
    (output,) = answer["outputs"]
    assert output["name"] == "probabilities"
    if length is None:
        assert response.headers["content-type"] == "application/json"
        return np.array(output["data"]).reshape(output["shape"])
    assert response.headers["content-type"] == "application/octet-stream"
    rest = response.content[int(length) :]
    assert output["parameters"] == {"binary_data_size": len(rest)}
    return np.frombuffer(rest, np.float32).reshape(output["shape"])


# By hand, on the fake


def test_the_server_says_what_it_is(client: TestClient) -> None:
    answer = client.get("/v2").json()
    assert answer["name"] == "Keras image service"
    assert set(answer["extensions"]) == {
        "binary_tensor_data",
        "classification",
        "model_configuration",
        "model_repository",
        "statistics",
    }


@pytest.mark.parametrize("path", [FAKE, f"{FAKE}/versions/0123456789ab"])
def test_the_model_says_what_it_takes_with_and_without_its_version(client: TestClient, path: str) -> None:
    assert client.get(path).json() == {
        "name": "fake",
        "versions": ["0123456789ab"],
        "platform": "keras_h5",
        "inputs": [{"name": "input", "datatype": "UINT8", "shape": [-1, 4, 4, 1]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "embedding", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    assert client.get(f"{path}/config").json() == {
        "name": "fake",
        "platform": "keras_h5",
        "max_batch_size": 5,
        "input": [{"name": "input", "data_type": "TYPE_UINT8", "format": "FORMAT_NHWC", "dims": [4, 4, 1]}],
        "output": [
            {"name": "probabilities", "data_type": "TYPE_FP32", "dims": [3]},
            {"name": "embedding", "data_type": "TYPE_FP32", "dims": [3]},
        ],
    }
    assert client.get(f"{path}/ready").json() == {"name": "fake", "ready": True}
    assert ask(client, path, json=pixels_question()).argmax() == 2


def test_a_service_that_is_stopping_is_alive_but_not_ready(client: TestClient) -> None:
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200
    stop_taking(client)
    assert client.get("/v2/health/live").status_code == 200
    for path in ("/v2/health/ready", f"{FAKE}/ready"):
        response = client.get(path)
        assert_error(response, 503, "stopping")
        assert response.headers["retry-after"] == "1"
    (model,) = client.post("/v2/repository/index").json()
    assert (model["state"], "stopping" in model["reason"]) == ("UNAVAILABLE", True)
    assert_error(client.post(f"{FAKE}/infer", json=pixels_question()), 503, "stopping")


def test_the_repository_has_the_one_model_and_keeps_it(client: TestClient) -> None:
    index = client.post("/v2/repository/index", json={"ready": True}).json()
    assert index == [{"name": "fake", "version": "0123456789ab", "state": "READY", "reason": ""}]
    assert_error(client.post("/v2/repository/models/fake/unload"), 400, "fake stays loaded: it is the default")


def test_a_new_file_is_loaded_and_an_earlier_version_gone_back_to(
    client: TestClient, classifier: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = FakeEngine("abcdef012345")
    model = context_of(client).prediction.repository.default
    monkeypatch.setattr(model, "_load", lambda _: newer)
    load = "/v2/repository/models/fake/load"
    assert client.post(load).json() == {"name": "fake", "version": newer.version}
    assert client.get(FAKE).json()["versions"] == [newer.version, classifier.version]
    for version in (newer.version, classifier.version):
        answer = client.post(f"{FAKE}/versions/{version}/infer", json=pixels_question()).json()
        assert answer["model_version"] == version
    back = client.post(load, json={"parameters": {"version": classifier.version}})
    assert back.json() == {"name": "fake", "version": classifier.version}
    assert client.post(f"{FAKE}/infer", json=pixels_question()).json()["model_version"] == classifier.version
    assert_error(client.post(load, json={"parameters": {"version": "1"}}), 404, "version '1' is not here")
    assert_error(client.post(load, content=b"{"), 400, "JSON cannot be read")
    assert_error(client.post(load, content=b"[]"), 400, "what load takes")
    assert_error(client.post(load, content=b"[[]," * 1500), 400, "1,500 values", "at most 1,000")

    def broken(_: object) -> FakeEngine:
        raise ModelFileError("it is broken")

    monkeypatch.setattr(model, "_load", broken)
    assert_error(client.post(load), 400, "it is broken", "what answered before goes on answering")


@pytest.mark.parametrize("version", [None, "0123456789ab"])
def test_one_of_several_replicas_loads_and_unloads_nothing_by_a_call(version: str | None) -> None:
    with TestClient(application(ServiceSettings(replicated=True), FakeEngine())) as client:
        body = {"parameters": {"version": version}} if version else {}
        for call in ("load", "unload"):
            answer = client.post(f"/v2/repository/models/fake/{call}", json=body)
            assert_error(answer, 501, "one of several replicas", "--watch")
        assert client.post("/v2/repository/index").json()[0]["state"] == "READY"


def test_pictures_are_prepared_for_the_version_that_is_asked(
    client: TestClient, classifier: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = FakeEngine("abcdef012345")
    larger.card = FakeEngine.card_for(6, 6, 1)
    model = context_of(client).prediction.repository.default
    monkeypatch.setattr(model, "_load", lambda _: larger)
    assert client.post("/v2/repository/models/fake/load").status_code == 200
    images = question([1], "BYTES", [base64.b64encode(OWL_PNG).decode()])
    answer = client.post(f"{FAKE}/versions/{classifier.version}/infer", json=images)
    assert answer.json()["model_version"] == classifier.version
    assert classifier.batches[-1].shape == (1, 4, 4, 1)


def test_what_was_answered_and_what_failed_is_counted(client: TestClient) -> None:
    client.post(f"{FAKE}/infer", json=question([2, 4, 4], "UINT8", [0] * 32))
    client.post(f"{FAKE}/infer", json=pixels_question())
    client.post(f"{FAKE}/infer", content=b"nonsense")
    for path in ("/v2/models/stats", f"{FAKE}/stats", f"{FAKE}/versions/0123456789ab/stats"):
        (model,) = client.get(path).json()["model_stats"]
        assert (model["name"], model["version"], model["inference_count"]) == ("fake", "0123456789ab", 3)
        success, fail = model["inference_stats"]["success"], model["inference_stats"]["fail"]
        assert (success["count"], fail["count"]) == (2, 1)
        assert success["ns"] > 0 < fail["ns"]


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/v2/models/other", "'fake'"),
        ("/v2/models/other/ready", "'fake'"),
        ("/v2/models/other/stats", "'fake'"),
        (f"{FAKE}/versions/1", "0123456789ab"),
        (f"{FAKE}/versions/1/config", "0123456789ab"),
    ],
)
def test_another_model_or_version_is_404_and_names_the_one_there_is(client: TestClient, path: str, there: str) -> None:
    assert_error(client.get(path), 404, there)


@pytest.mark.parametrize(
    "path", ["/v2/models/other/infer", f"{FAKE}/versions/1/infer", "/v2/repository/models/other/load"]
)
def test_to_another_model_nothing_can_be_posted(client: TestClient, path: str) -> None:
    assert_error(client.post(path, json=pixels_question()), 404)


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/v2/models", 404, None),
        ("POST", "/v2/models/fake/versions/0123456789ab/nothing/here", 404, None),
        ("GET", f"{FAKE}/infer", 405, "POST"),
        ("POST", "/v2", 405, "GET"),
        ("PUT", FAKE, 405, "GET"),
        ("OPTIONS", "/v2/repository/index", 405, "POST"),
    ],
)
def test_other_calls_under_v2_fail_in_the_protocols_shape(
    client: TestClient, method: str, path: str, status: int, allowed: str | None
) -> None:
    response = client.request(method, path)
    assert_error(response, status)
    assert response.headers.get("allow") == allowed


def test_elsewhere_errors_are_problem_documents_as_before(client: TestClient) -> None:
    assert_problem(client.get("/v2x"), 404, "/docs")


@pytest.mark.parametrize(
    "request_",
    [
        {"json": question([1, 4, 4, 1], "UINT8", OWL[None, ..., None].tolist())},
        {"json": question([1, 4, 4], "UINT8", OWL[None].tolist())},
        {"json": question([1, 4, 4], "FP32", (OWL / 255).ravel().tolist())},
        {"json": question([1], "BYTES", [text_of(OWL_PNG)])},
        {"json": question([1, 1], "BYTES", [[text_of(OWL_PNG)]])},
        binary_question([1, 4, 4, 1], "UINT8", OWL.tobytes()),
        binary_question([1, 4, 4], "FP16", (OWL / 255).astype("<f2").tobytes()),
        binary_question([1, 4, 4], "FP64", (OWL / 255).tobytes()),
        binary_question([1], "BYTES", with_length(OWL_PNG)),
        binary_question([1, 1], "BYTES", with_length(OWL_PNG)),
        {"content": OWL.tobytes(), "headers": {LENGTH: "0"}},
        {"content": (OWL / 255).astype("<f4").tobytes(), "headers": {LENGTH: "0"}},
        {"content": OWL_PNG, "headers": {LENGTH: "0"}},
    ],
    ids=lambda request: str(request)[:60],
)
def test_every_form_of_a_image_reaches_the_network_as_the_same(
    client: TestClient, classifier: FakeEngine, request_: dict[str, Any]
) -> None:
    assert ask(client, **request_)[0] == pytest.approx([0, 0, 1], abs=1e-5)
    (batch,) = classifier.batches
    assert (batch.shape, batch.dtype) == ((1, 4, 4, 1), np.float32)
    assert np.array_equal(batch[0, ..., 0], OWL / 255)


def test_fp32_goes_to_the_network_as_it_is(client: TestClient, classifier: FakeEngine) -> None:
    ask(client, json=question([1, 4, 4], "FP32", [-1.5, 300, 0.1, *[0] * 13]))
    assert classifier.batches[0].ravel()[:3].tolist() == [np.float32(-1.5), 300, np.float32(0.1)]


def test_rows_of_one_request_are_answered_in_order_by_one_call(client: TestClient, classifier: FakeEngine) -> None:
    labels = ["owl", "cat", "dog", "owl"]
    rows = ask(client, json=question([4], "BYTES", [text_of(encoded(image_for(label))) for label in labels]))
    assert rows.argmax(axis=1).tolist() == [2, 0, 1, 2]
    assert [len(batch) for batch in classifier.batches] == [4]


def test_a_image_in_colour_has_three_channels(classifier: FakeEngine) -> None:
    classifier.card = FakeEngine.card_for(2, 3, 3)
    with TestClient(application(ServiceSettings(), classifier)) as client:
        ask(client, json=question([2, 2, 3, 3], "UINT8", [0] * 36))
        response = client.post(f"{FAKE}/infer", json=question([1, 2, 3], "UINT8", [0] * 6))
        assert_error(response, 400, "the shape of UINT8 is [1, 2, 3], expected [n, 2, 3, 3]")


def test_a_photo_is_prepared_as_by_predict(client: TestClient, classifier: FakeEngine) -> None:
    photo = encoded(Image.new("RGB", (300, 200), (255, 255, 255)), "JPEG")
    ask(client, json=question([1], "BYTES", [text_of(photo)]))
    client.post("/predict", files={"file": photo})
    assert np.array_equal(*classifier.batches)


def test_id_and_model_are_in_the_answer(client: TestClient) -> None:
    answer = client.post(f"{FAKE}/infer", json=pixels_question(id="mine")).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("fake", "0123456789ab", "mine")
    assert "id" not in client.post(f"{FAKE}/infer", json=pixels_question()).json()


@pytest.mark.parametrize(
    ("parameters", "output", "binary"),
    [
        ({}, None, False),
        ({"binary_data_output": True}, None, True),
        ({"binary_data_output": True}, {}, True),
        ({"binary_data_output": True}, {"binary_data": False}, False),
        ({}, {"binary_data": True}, True),
        ({"sequence_id": 3, "priority": 1, "mine": "x"}, {"binary_data": False}, False),
    ],
)
def test_the_output_is_binary_where_it_is_asked_for(
    client: TestClient, parameters: dict[str, Any], output: dict[str, Any] | None, binary: bool
) -> None:
    outputs = [] if output is None else [{"name": "probabilities", "parameters": output}]
    request = {"json": pixels_question(parameters=parameters, outputs=outputs)}
    assert ask(client, **request)[0] == pytest.approx([0, 0, 1], abs=1e-5)
    assert (LENGTH in client.post(f"{FAKE}/infer", **request).headers) == binary


def test_embeddings_are_sent_to_those_who_name_them_alone(client: TestClient) -> None:
    outputs = [{"name": "embedding"}]
    answer = client.post(f"{FAKE}/infer", json=pixels_question(outputs=outputs)).json()
    assert answer["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": [1, 3], "data": [0, 0, 1]}]
    unasked = client.post(f"{FAKE}/infer", json=pixels_question()).json()
    assert [output["name"] for output in unasked["outputs"]] == ["probabilities"]
    assert ask(client, content=OWL_PNG, headers={LENGTH: "0"}).shape == (1, 3)


def test_a_model_without_embeddings_has_one_output(client: TestClient, classifier: FakeEngine) -> None:
    classifier.embedding_dimension = None
    assert [output["name"] for output in client.get(FAKE).json()["outputs"]] == ["probabilities"]
    assert [output["name"] for output in client.get(f"{FAKE}/config").json()["output"]] == ["probabilities"]
    refused = client.post(f"{FAKE}/infer", json=pixels_question(outputs=[{"name": "embedding"}]))
    assert_error(refused, 400, "no output 'embedding'; there is 'probabilities'")
    assert ask(client, json=pixels_question()).argmax() == 2


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, ["0.599999:1:dog"]),
        (2, ["0.599999:1:dog", "0.300000:2:owl"]),
        (9, ["0.599999:1:dog", "0.300000:2:owl", "0.100001:0:cat"]),
    ],
)
def test_classes_are_named_the_most_probable_first(client: TestClient, most: int, expected: list[str]) -> None:
    pixels = [25, 150, 75, *[0] * 13]
    outputs = [{"name": "probabilities", "parameters": {"classification": most}}]
    answer = client.post(f"{FAKE}/infer", json=question([1, 4, 4], "UINT8", pixels, outputs=outputs)).json()
    output = {"name": "probabilities", "datatype": "BYTES", "shape": [1, len(expected)], "data": expected}
    assert answer["outputs"] == [output]


@pytest.mark.parametrize(
    ("request_", "status", "part"),
    [
        ({"content": b""}, 400, "the body is empty"),
        ({"content": b"I am a text"}, 400, "cannot be read"),
        ({"json": {}}, 400, "inputs: Field required"),
        ({"json": {"inputs": [pixels_question()["inputs"][0]] * 2}}, 400, "at most 1 item"),
        (
            {"json": {"inputs": [pixels_question()["inputs"][0] | {"name": "x"}]}},
            400,
            "no input 'x'; the only one is 'input'",
        ),
        (
            {"json": pixels_question(outputs=[{"name": "x"}])},
            400,
            "no output 'x'; there is 'probabilities' and 'embedding'",
        ),
        ({"json": pixels_question(outputs=[{"name": "probabilities"}] * 2)}, 400, "'probabilities' is asked for twice"),
        ({"json": pixels_question(outputs=[{"name": "probabilities"}] * 3)}, 400, "at most 2 items"),
        (
            {"json": pixels_question(outputs=[{"name": "embedding", "parameters": {"classification": 2}}])},
            400,
            "which has no classes; ask 'probabilities'",
        ),
        (
            {"json": question([1, 4, 4], "INT64", [0] * 16)},
            400,
            "'INT64', expected one of UINT8, FP16, FP32, FP64, BYTES",
        ),
        ({"json": question([], "UINT8", [])}, 400, "is [], expected [n, 4, 4, 1] or [n, 4, 4]"),
        ({"json": question([1, 16], "UINT8", [0] * 16)}, 400, "is [1, 16], expected [n, 4, 4, 1] or [n, 4, 4]"),
        ({"json": question([1, 4, 4, 3], "FP32", [0] * 48)}, 400, "expected [n, 4, 4, 1] or [n, 4, 4]"),
        ({"json": question([1, 2], "BYTES", ["", ""])}, 400, "is [1, 2], expected [n] or [n, 1]"),
        ({"json": question([0, 4, 4], "UINT8", [])}, 400, "has 0 rows, expected 1 to 5"),
        ({"json": question([6, 4, 4], "UINT8", [0] * 96)}, 400, "has 6 rows, expected 1 to 5"),
        ({"json": question([2**62, 4, 4], "UINT8", [])}, 400, "rows, expected 1 to 5"),
        (
            {"json": question([2, 4, 4], "UINT8", [0] * 31)},
            400,
            "a list of 31, and the shape [2, 4, 4] takes 32 values",
        ),
        ({"json": question([1, 4, 4], "UINT8", [256] * 16)}, 400, "from 0 to 255"),
        ({"json": question([1], "BYTES", ["%"])}, 400, "base64"),
        (
            {"json": question([2], "BYTES", [text_of(OWL_PNG), ""])},
            400,
            "element 1 of the input: the image is empty",
        ),
        ({"json": question([2], "BYTES", [text_of(OWL_PNG), "AAAA"])}, 415, "element 1 of the input: the content"),
        ({"json": question([1], "BYTES", [text_of(OWL_PNG[:40])])}, 422, "element 0 of the input: the PNG image"),
        (
            binary_question([1, 4, 4], "UINT8", bytes(15)),
            400,
            "15 bytes arrived for UINT8 of shape [1, 4, 4], expected 16",
        ),
        (binary_question([1], "BYTES", with_length(OWL_PNG)[:-1]), 400, "end within element 0 of 1"),
        ({"content": b"{}", "headers": {LENGTH: "3"}}, 400, "declared to have 3 bytes, and 2 bytes arrived"),
        ({"content": b"{}", "headers": {LENGTH: "-1"}}, 400, "is '-1', expected a number of bytes"),
        ({"content": b"{}", "headers": {LENGTH: "9" * 5000}}, 400, "expected a number of bytes"),
        ({"content": b"", "headers": {LENGTH: "0"}}, 400, "0 bytes"),
        ({"content": bytes(17), "headers": {LENGTH: "0"}}, 415, "PNG, JPEG"),
        ({"content": bytes(20_001)}, 413, "20,000 bytes"),
        ({"content": b"x", "headers": {"Content-Encoding": "br"}}, 415, "'br'; send it as gzip, as deflate, or"),
        ({"content": b"I am a text", "headers": {"Content-Encoding": "gzip"}}, 400, "declared as gzip and cannot be"),
        ({"content": gzip.compress(b"{}", mtime=0)[:-1], "headers": {"Content-Encoding": "gzip"}}, 400, "cut short"),
        ({"content": zlib.compress(b"{}") + b"x", "headers": {"Content-Encoding": "deflate"}}, 400, "follow its end"),
        ({"content": zlib.compress(bytes(20_001)), "headers": {"Content-Encoding": "deflate"}}, 413, "once unpacked"),
        (
            {"content": gzip.compress(bytes(10_000_000), mtime=0), "headers": {"Content-Encoding": "gzip"}},
            413,
            "20,000 bytes",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_answered_is_told(client: TestClient, request_: dict[str, Any], status: int, part: str) -> None:
    assert_error(client.post(f"{FAKE}/infer", **request_), status, part)


@pytest.mark.parametrize(
    ("encoding", "packed"), [("gzip", gzip.compress), ("DEFLATE", zlib.compress), ("identity", bytes)]
)
def test_a_packed_body_is_read_as_a_plain_one(client: TestClient, encoding: str, packed: Any) -> None:
    request = binary_question([1, 4, 4], "UINT8", OWL.tobytes())
    request["headers"]["Content-Encoding"] = encoding
    assert ask(client, content=packed(request["content"]), headers=request["headers"]).argmax() == 2


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("deflate", "deflate"), ("gzip;q=0.5, deflate", "deflate"), ("br", None), ("gzip;q=0", None)],
)
def test_an_answer_is_packed_where_it_is_asked_for(client: TestClient, accepted: str, encoding: str | None) -> None:
    request = {"json": pixels_question(), "headers": {"Accept-Encoding": accepted}}
    assert client.post(f"{FAKE}/infer", **request).headers.get("content-encoding") == encoding
    assert ask(client, **request).argmax() == 2
    other = client.post("/v2/repository/index", **request)
    assert "content-encoding" not in other.headers


def test_large_bodies_and_answers_are_worked_on_off_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    for name in ("_read_question", "_write_answer"):
        whole = getattr(infer_module, name)
        monkeypatch.setattr(
            infer_module,
            name,
            lambda *given, whole=whole: (threads.append(threading.current_thread().name), whole(*given))[1],
        )
    ask(client, json=pixels_question())
    assert len(set(threads)) == 1
    monkeypatch.setattr(infer_module, "SMALL_BODY_BYTES", 10)
    monkeypatch.setattr(infer_module, "SMALL_ANSWER_VALUES", 1)
    ask(client, json=pixels_question())
    assert threads[0] not in threads[2:]
    assert len(threads) == 4


def test_past_the_queue_the_answer_is_503(client: TestClient, held: threading.Event) -> None:  # noqa: F811
    queue_up(client, 4)
    response = client.post(f"{FAKE}/infer", json=question([2, 4, 4], "UINT8", [0] * 32))
    assert_error(response, 503, "5 images wait", "at most 6")
    assert response.headers["retry-after"] == "1"


def test_an_answer_that_is_not_there_in_the_callers_own_time_is_504(
    client: TestClient,
    held: threading.Event,  # noqa: F811
) -> None:
    assert_error(client.post(f"{FAKE}/infer", json=pixels_question(parameters={"timeout": 10_000})), 504, "in time")


def test_a_failure_of_the_network_is_our_fault_and_says_no_more(
    client: TestClient, classifier: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "infer", lambda _: 1 / 0)
    response = client.post(f"{FAKE}/infer", json=pixels_question())
    assert_error(response, 500, "its log says more")
    assert "division" not in response.text


def test_a_fault_of_our_own_is_500_and_says_no_more(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer_module, "_write_answer", lambda *_: 1 / 0)
    response = client.post(f"{FAKE}/infer", json=pixels_question())
    assert_error(response, 500, "its log says more")
    assert "division" not in response.text


WHOLE = binary_question([2], "BYTES", with_length(OWL_PNG, OWL_PNG), outputs=[{"name": "probabilities"}])


@pytest.fixture(scope="module")
def tough() -> Iterator[TestClient]:
    with TestClient(application(ServiceSettings(), FakeEngine()), raise_server_exceptions=False) as client:
        yield client


@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(WHOLE["content"]) - 1), st.binary(max_size=3)), min_size=1, max_size=4
    ),
    cut=st.integers(0, len(WHOLE["content"])),
    off=st.integers(-3, 3),
)
def test_a_damaged_body_is_answered_or_told(
    tough: TestClient, changes: list[tuple[int, bytes]], cut: int, off: int
) -> None:
    content = bytearray(WHOLE["content"])
    for place, other in changes:
        content[place : place + len(other)] = other
    length = max(0, int(WHOLE["headers"][LENGTH]) + off)
    for body in (bytes(content), bytes(content[:cut])):
        response = tough.post(f"{FAKE}/infer", content=body, headers={LENGTH: str(length)})
        assert response.status_code == 200 or 400 <= response.status_code < 500, response.text
        if response.status_code != 200:
            assert response.json().keys() == {"error"}


# The shipped model

BOOT = "/v2/models/best-cnn-model"


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    classifier = tensorflow_engine(SHIPPED_MODEL)
    with TestClient(application(ServiceSettings(), classifier)) as client:
        yield client


def test_the_same_image_has_the_same_probabilities_in_every_form(shipped: TestClient) -> None:
    content, pixels = ANKLE_BOOT.read_bytes(), pixels_of(ANKLE_BOOT)[None, ..., None]
    floats = (pixels / np.float32(255)).astype(np.float32)
    classes = shipped.post("/predict", files={"file": content}).json()["probabilities"]
    expected = [entry["probability"] for entry in sorted(classes, key=lambda entry: entry["index"])]
    for request in (
        {"json": question([1, 28, 28, 1], "UINT8", pixels.ravel().tolist())},
        {"json": question([1, 28, 28, 1], "FP32", floats.tolist())},
        {"json": question([1], "BYTES", [text_of(content)])},
        binary_question([1, 28, 28, 1], "UINT8", pixels.tobytes()),
        binary_question([1, 28, 28, 1], "FP32", floats.tobytes()),
        binary_question([1], "BYTES", with_length(content), parameters={"binary_data_output": True}),
        {"content": pixels.tobytes(), "headers": {LENGTH: "0"}},
        {"content": floats.tobytes(), "headers": {LENGTH: "0"}},
        {"content": content, "headers": {LENGTH: "0"}},
    ):
        assert ask(shipped, BOOT, **request)[0] == pytest.approx(expected, abs=1e-6)


def test_a_photo_has_the_probabilities_that_predict_gives(shipped: TestClient) -> None:
    for file in DRAWINGS:
        classes = shipped.post("/predict", files={"file": file.read_bytes()}).json()["probabilities"]
        expected = [entry["probability"] for entry in sorted(classes, key=lambda entry: entry["index"])]
        answer = ask(shipped, BOOT, json=question([1], "BYTES", [text_of(file.read_bytes())]))
        assert answer[0] == pytest.approx(expected, abs=1e-6)


# Triton's own client, against a running service

MODEL, VERSION = "best-cnn-model", file_version(SHIPPED_MODEL)
IMAGES = np.stack([pixels_of(file) for file in SAMPLE_FILES[::10]])[..., np.newaxis]
LABELS = [int(file.name.partition("-")[0]) for file in SAMPLE_FILES[::10]]


@pytest.fixture(scope="module")
def address(service: Service) -> str:
    return service.url.removeprefix("http://")


@pytest.fixture
def server(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as server:
        yield server


def input_of(values: npt.NDArray[Any], datatype: str, *, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput("input", list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def test_tritons_client_finds_the_server_and_the_model(server: triton.InferenceServerClient) -> None:
    assert server.is_server_live()
    assert server.is_server_ready()
    for version in ("", VERSION):
        assert server.is_model_ready(MODEL, version)
        assert server.get_model_metadata(MODEL, version)["inputs"][0]["shape"] == [-1, 28, 28, 1]
        assert server.get_model_config(MODEL, version)["input"][0]["format"] == "FORMAT_NHWC"
        assert server.get_inference_statistics(MODEL, version)["model_stats"][0]["name"] == MODEL
    assert not server.is_model_ready("other")
    assert not server.is_model_ready(MODEL, "1")
    assert "binary_tensor_data" in server.get_server_metadata()["extensions"]
    assert server.get_inference_statistics()["model_stats"][0]["version"] == VERSION
    assert server.get_model_repository_index() == [{"name": MODEL, "version": VERSION, "state": "READY", "reason": ""}]


@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_tritons_client_infers_with_its_defaults_and_packed(
    server: triton.InferenceServerClient, packing: str | None
) -> None:
    rows = server.infer(
        MODEL,
        [input_of(IMAGES, "UINT8")],
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    ).as_numpy("probabilities")
    assert (rows.shape, rows.dtype) == ((20, 10), np.float32)
    assert rows.sum(axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert (rows.argmax(axis=1) == LABELS).mean() > 0.8


def test_tritons_client_infers_the_same_in_every_form(server: triton.InferenceServerClient) -> None:
    expected = server.infer(MODEL, [input_of(IMAGES, "UINT8")]).as_numpy("probabilities")
    files = [file.read_bytes() for file in SAMPLE_FILES[::10]]
    as_text = [base64.b64encode(content) for content in files]
    for tensor in (
        input_of(IMAGES, "UINT8", binary=False),
        input_of((IMAGES / 255).astype(np.float32), "FP32"),
        input_of((IMAGES / 255).astype(np.float32), "FP32", binary=False),
        input_of(IMAGES / 255, "FP64"),
        input_of(np.array(files, object), "BYTES"),
        input_of(np.array(files, object)[:, np.newaxis], "BYTES"),
        input_of(np.array(as_text, object), "BYTES", binary=False),
    ):
        for binary in (True, False):
            outputs = [triton.InferRequestedOutput("probabilities", binary_data=binary)]
            answer = server.infer(MODEL, [tensor], VERSION, outputs, request_id="7", timeout=5_000_000)
            assert answer.get_response()["id"] == "7"
            assert answer.as_numpy("probabilities") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_is_told_the_classes(server: triton.InferenceServerClient, binary: bool) -> None:
    outputs = [triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=3)]
    classes = server.infer(MODEL, [input_of(IMAGES, "UINT8")], outputs=outputs).as_numpy("probabilities")
    assert classes.shape == (20, 3)
    first = classes[-1, 0]
    value, index, name = (first.decode() if isinstance(first, bytes) else first).split(":")
    assert 0.5 < float(value) <= 1
    card = read_card(SHIPPED_MODEL)
    assert card is not None
    assert name == card.class_names[int(index)]


@pytest.mark.parametrize("binary", [(True, True), (True, False), (False, True), (False, False)])
def test_tritons_client_is_given_embeddings_where_it_asks_for_them(
    server: triton.InferenceServerClient, binary: tuple[bool, bool]
) -> None:
    model = keras.saving.load_model(SHIPPED_MODEL, compile=False)
    images = (IMAGES / 255).astype(np.float32)
    expected = keras.Model(model.inputs, model.layers[-1].input).predict(images, verbose=0)
    assert server.get_model_metadata(MODEL)["outputs"][1]["shape"] == [-1, 100]
    names = ("embedding", "probabilities")
    asked = [triton.InferRequestedOutput(name, binary_data=each) for name, each in zip(names, binary, strict=True)]
    both = server.infer(MODEL, [input_of(IMAGES, "UINT8")], outputs=asked)
    alone = server.infer(MODEL, [input_of(IMAGES, "UINT8")], outputs=asked[:1])
    probabilities = server.infer(MODEL, [input_of(IMAGES, "UINT8")])
    assert [output["name"] for output in both.get_response()["outputs"]] == [*names]
    assert [output["name"] for output in alone.get_response()["outputs"]] == ["embedding"]
    assert [output["name"] for output in probabilities.get_response()["outputs"]] == ["probabilities"]
    for answer in (both, alone):
        assert answer.as_numpy("embedding").dtype == np.float32
        assert answer.as_numpy("embedding") == pytest.approx(expected, abs=1e-4)
    assert both.as_numpy("probabilities") == pytest.approx(probabilities.as_numpy("probabilities"), abs=1e-6)


def test_tritons_client_reads_our_errors(server: triton.InferenceServerClient) -> None:
    wrong_shape = input_of(np.zeros((1, 32, 32, 3), np.uint8), "UINT8")
    server.load_model(MODEL)  # the file that answers already
    for call, status, part in (
        (lambda: server.load_model("other"), "404", "'best-cnn-model'"),
        (lambda: server.unload_model(MODEL), "400", "stays loaded"),
        (lambda: server.get_model_metadata("other"), "404", "'best-cnn-model'"),
        (lambda: server.infer("other", [wrong_shape]), "404", "'best-cnn-model'"),
        (lambda: server.infer(MODEL, [wrong_shape]), "400", "expected [n, 28, 28, 1] or [n, 28, 28]"),
        (lambda: server.infer(MODEL, [input_of(np.array([b"x"], object), "BYTES")]), "415", "PNG, JPEG"),
    ):
        with pytest.raises(triton.InferenceServerException) as told:
            call()
        assert told.value.status() == status
        assert part in told.value.message()
