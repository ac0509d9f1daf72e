"""POST /predict and /predict/batch, against a classifier whose answer is written in the image."""

import asyncio
import base64
import gzip
import io
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from models.preprocessing import ModelInput
from service.engines.base import EngineOutput
from tests.applications import runner_of
from tests.fakes import FakeEngine, Hold, image_for
from tests.samples import encoded

OWL, CAT = (encoded(image_for(label)) for label in ("owl", "cat"))
PNG = {"Content-Type": "image/png"}


def stop_taking(client: TestClient) -> None:
    """As at the beginning of a shutdown."""
    client.portal.call(runner_of(client).close, 1)  # type: ignore[union-attr]


def assert_problem(response: httpx.Response, status: int, *parts: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    for part in parts:
        assert part in problem["detail"]


def test_a_image_in_a_form_is_answered(client: TestClient) -> None:
    response = client.post("/predict", files={"file": ("owl.png", OWL)})
    assert response.status_code == 200
    answer = response.json()
    assert (answer["label"], answer["index"]) == ("owl", 2)
    assert answer["probability"] == pytest.approx(1, abs=1e-5)
    assert answer["model"] == {"name": "fake", "version": "0123456789ab"}


def test_a_image_as_the_body_is_answered_the_same(client: TestClient) -> None:
    in_form = client.post("/predict", files={"file": OWL}).json()
    assert client.post("/predict", content=OWL, headers=PNG).json() == in_form
    # What the content is decides, not what it is declared to be.
    assert client.post("/predict", content=OWL, headers={"Content-Type": "IMAGE/jpeg; q=1"}).json() == in_form


@pytest.mark.parametrize(
    "request_",
    [
        {"content": OWL},
        {"content": OWL, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": gzip.compress(OWL), "headers": {"Content-Encoding": "gzip"}},
        {"content": iter([OWL[:30], OWL[30:]])},
        {"files": {"photo": OWL}},
        {"json": {"image": base64.b64encode(OWL).decode()}},
    ],
    ids=range(6),
)
def test_a_image_is_read_as_programs_send_it(client: TestClient, request_: dict[str, Any]) -> None:
    assert client.post("/predict", **request_).json()["label"] == "owl"


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/v1/models/fake:predict", "/v2/models/fake/infer"])
def test_an_encoding_that_is_not_read_is_told_with_those_that_are(client: TestClient, path: str) -> None:
    response = client.post(path, content=OWL, headers={"Content-Encoding": "br"})
    assert response.status_code == (400 if path.startswith("/v1") else 415)
    assert response.headers["accept-encoding"] == "gzip, deflate"


def test_probabilities_are_sorted_and_sum_to_one(client: TestClient) -> None:
    pixels = np.zeros((4, 4), np.uint8)
    pixels[0, :3] = (50, 150, 100)
    classes = client.post("/predict", content=encoded(pixels), headers=PNG).json()["probabilities"]
    assert [entry["label"] for entry in classes] == ["dog", "owl", "cat"]
    assert [entry["probability"] for entry in classes] == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=1e-5)


def test_what_the_network_saw_is_returned_on_demand(client: TestClient) -> None:
    assert "input" not in client.post("/predict", content=OWL, headers=PNG).json()
    for query in ("return_input=true", "return_input=true&preparation=none"):
        answer = client.post(f"/predict?{query}", content=OWL, headers=PNG).json()
        kind, _, content = answer["input"].partition(",")
        assert kind == "data:image/png;base64"
        assert np.array_equal(Image.open(io.BytesIO(base64.b64decode(content))), image_for("owl"))
        assert answer["label"] == "owl"


def test_a_photo_is_prepared_unless_it_is_asked_not_to(client: TestClient, classifier: FakeEngine) -> None:
    card = classifier.card
    classifier.card = card.model_copy(update={"input": card.input.model_copy(update={"preparation": "product-photo"})})
    white = encoded(np.full((4, 4), 255, np.uint8))
    client.post("/predict", content=white, headers=PNG)
    client.post("/predict?preparation=none", content=white, headers=PNG)
    client.post("/predict/batch?preparation=none", files=[("files", white)])
    assert [batch.max() for batch in classifier.batches] == [0, 1, 1]


@pytest.mark.parametrize(("top_k", "labels"), [(1, 1), (2, 2), (1000, 3)])
def test_top_k_limits_the_list(client: TestClient, top_k: int, labels: int) -> None:
    response = client.post(f"/predict?top_k={top_k}", content=OWL, headers=PNG)
    assert len(response.json()["probabilities"]) == labels


@pytest.mark.parametrize("top_k", ["0", "1001", "many"])
def test_a_top_k_that_makes_no_sense_is_malformed(client: TestClient, top_k: str) -> None:
    assert_problem(client.post(f"/predict?top_k={top_k}", content=OWL, headers=PNG), 400, "top_k", top_k)


def test_pictures_of_another_size_and_colour_are_fitted(client: TestClient, classifier: FakeEngine) -> None:
    photo = encoded(Image.new("RGB", (300, 200), (255, 255, 255)), "JPEG")
    assert client.post("/predict", files={"file": photo}).status_code == 200
    assert classifier.batches[0].shape == (1, 4, 4, 1)
    assert classifier.batches[0].dtype == np.float32


def test_other_fields_beside_the_image_do_no_harm(client: TestClient) -> None:
    response = client.post("/predict", files={"file": OWL}, data={"note": "hello"})
    assert response.json()["label"] == "owl"


@pytest.mark.parametrize(
    ("request_", "status", "part"),
    [
        ({}, 400, "the request has no image"),
        ({"files": {"file": b""}}, 400, "0 bytes"),
        ({"content": b"", "headers": PNG}, 400, "0 bytes"),
        ({"files": [("file", OWL), ("file", OWL)]}, 400, "2 files, in the fields 'file', 'file'; expected one"),
        (
            {"files": [("a", OWL), ("b", OWL)]},
            400,
            "2 files, in the fields 'a', 'b'; expected one, in the field 'file'",
        ),
        ({"files": [("file", ("", b""))], "data": {"note": "x"}}, 400, "has no file; its fields, which are text"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}}, 400, "cannot be read"),
        ({"content": b"--y\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=y"}}, 400, "cut short"),
        ({"files": [("x", b"")] * 18}, 400, "more than the 17 parts"),
        ({"files": {"file": ("image.png", b"I am a text")}}, 415, "PNG, JPEG"),
        ({"content": b"I am a text", "headers": PNG}, 415, "PNG, JPEG"),
        ({"data": {"file": "x"}}, 415, "application/x-www-form-urlencoded and begins with 'file=x'"),
        ({"json": {"file": "x"}}, 400, "the JSON has 'file', expected 'image' alone"),
        (
            {"content": b"owl.png"},
            415,
            "declared as nothing and begins with 'owl.png', and looks like the name of a file",
        ),
        ({"files": {"file": OWL[: len(OWL) // 2]}}, 422, "the PNG image cannot be"),
        ({"content": encoded(Image.new("L", (501, 500))), "headers": PNG}, 422, "501 × 500"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_answered_is_told(client: TestClient, request_: dict[str, Any], status: int, part: str) -> None:
    assert_problem(client.post("/predict", **request_), status, part)


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_body_that_is_declared_too_large_is_refused(client: TestClient, path: str) -> None:
    assert_problem(client.post(path, files={"file": bytes(20_001)}), 413, "20,000 bytes")


@pytest.mark.parametrize("media_type", ["image/png", "multipart/form-data; boundary=x"])
def test_a_body_that_turns_out_too_large_is_refused(client: TestClient, media_type: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(21):
            yield bytes(1000)

    response = client.post("/predict", content=chunks(), headers={"Content-Type": media_type})
    assert "content-length" not in response.request.headers
    assert_problem(response, 413, "20,000 bytes")


def test_a_failure_of_the_network_is_our_fault_and_says_no_more(
    client: TestClient, classifier: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_batch: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(classifier, "infer", fail)
    response = client.post("/predict", files={"file": OWL})
    assert_problem(response, 500, "its log says more")
    assert "secret" not in response.text


@pytest.mark.parametrize("path", ["/predict", "/predict?top_k=2"])
def test_a_fault_of_our_own_is_500_and_says_no_more(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("service.api.predict.prediction_of", lambda *_: 1 / 0)
    response = client.post(path, files={"file": OWL})
    assert_problem(response, 500, "its log says more")
    assert "division" not in response.text


def test_a_service_that_is_stopping_takes_nothing_new(client: TestClient) -> None:
    stop_taking(client)
    response = client.post("/predict", files={"file": OWL})
    assert_problem(response, 503, "stopping")
    assert response.headers["retry-after"] == "1"


@pytest.fixture
def held(client: TestClient, classifier: FakeEngine) -> Iterator[threading.Event]:
    """The inference thread is at an image and does nothing else until this is set."""
    hold = Hold(classifier)
    queue_up(client, 1)
    hold.begun.wait()
    yield hold.go_on
    hold.go_on.set()


def queue_up(client: TestClient, images: int) -> list[asyncio.Future[Any]]:
    """Have one caller wait for the answer to so many images."""
    runner = runner_of(client)
    answers: list[asyncio.Future[Any]] = []
    rows = [image_for("owl")[..., np.newaxis]] * images
    client.portal.call(lambda: answers.append(runner.submit(rows, runner.deadline())))  # type: ignore[union-attr]
    return answers


@pytest.mark.parametrize("path", ["/predict", "/predict?top_k=2"])
def test_past_the_queue_the_answer_is_503_at_once(client: TestClient, held: threading.Event, path: str) -> None:
    (waiting,) = queue_up(client, 5)
    response = client.post(path, content=b"not even looked at", headers=PNG)
    assert_problem(response, 503, "6 images wait", "at most 6")
    assert response.headers["retry-after"] == "1"
    assert client.get("/health/ready").status_code == 200
    held.set()
    while not waiting.done():
        client.get("/health/live")
    assert client.post(path, content=OWL, headers=PNG).json()["label"] == "owl"


def test_a_batch_that_does_not_fit_the_queue_is_refused_whole(
    client: TestClient, classifier: FakeEngine, held: threading.Event
) -> None:
    queue_up(client, 3)
    assert_problem(client.post("/predict/batch", files=[("files", OWL)] * 3), 503, "4 images wait")
    assert classifier.batches == []


def test_an_answer_that_is_not_there_in_time_is_504(
    client: TestClient, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_of(client)
    monkeypatch.setattr(runner, "_timeout_s", 0.01)
    assert_problem(client.post("/predict", content=OWL, headers=PNG), 504, "in time")


OF_OTHERS = {
    "/v1/models/fake:predict": {"instances": [{"b64": base64.b64encode(OWL).decode()}]},
    "/v2/models/fake/infer": {
        "inputs": [{"name": "input", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(OWL).decode()]}]
    },
}


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", *OF_OTHERS])
def test_a_client_who_leaves_while_many_wait_is_forgotten(
    client: TestClient, classifier: FakeEngine, held: threading.Event, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    runner = runner_of(client)
    monkeypatch.setattr(type(runner), "backed_up", True)
    if path in OF_OTHERS:
        request = client.build_request("POST", path, json=OF_OTHERS[path])
    else:
        request = client.build_request("POST", path, files=[("file" if path == "/predict" else "files", OWL)])
    body = {"type": "http.request", "body": request.read()}
    messages = iter([body, {"type": "http.disconnect"}])
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    client.portal.call(client.app, scope, receive, send)  # type: ignore[union-attr]
    assert sent[0]["status"] == 499
    held.set()
    assert client.post("/predict", content=encoded(image_for("cat")), headers=PNG).json()["label"] == "cat"
    assert len(classifier.batches) == 1


def test_a_caller_who_stays_while_many_wait_is_answered(
    client: TestClient, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(runner_of(client)), "backed_up", True)
    held.set()
    assert client.post("/predict", content=OWL, headers=PNG).json()["label"] == "owl"


def test_an_error_quotes_no_more_than_the_beginning_of_long_names(client: TestClient) -> None:
    response = client.post("/predict", files=[("x" * 2000, OWL)] * 4)
    assert_problem(response, 400, "4 files, in the fields 'xxx")
    assert len(response.content) < 600


def test_a_batch_is_answered_in_order_by_one_call(client: TestClient, classifier: FakeEngine) -> None:
    labels = ["owl", "cat", "dog", "owl"]
    files = [("files", (f"{label}.png", encoded(image_for(label)))) for label in labels]
    answer = client.post("/predict/batch?top_k=1", files=files).json()
    assert [result["file"] for result in answer["results"]] == [f"{label}.png" for label in labels]
    assert [result["prediction"]["label"] for result in answer["results"]] == labels
    assert answer["model"]["name"] == "fake"
    assert [len(batch) for batch in classifier.batches] == [4]


def test_no_image_of_a_batch_is_left_out_for_the_name_of_its_field(client: TestClient) -> None:
    files = [("files", ("owl.png", OWL)), ("file", ("cat.png", CAT)), ("files", ("owl.png", OWL))]
    results = client.post("/predict/batch", files=files).json()["results"]
    assert [result["prediction"]["label"] for result in results] == ["owl", "cat", "owl"]


def test_a_batch_may_be_json(client: TestClient) -> None:
    contents = [OWL, b"hello", encoded(image_for("cat"))]
    body = {"images": [base64.b64encode(content).decode() for content in contents]}
    results = client.post("/predict/batch", json=body).json()["results"]
    assert [result["file"] for result in results] == ["images[0]", "images[1]", "images[2]"]
    found = [result.get("prediction", result.get("problem")) for result in results]
    assert [entry.get("label", entry.get("status")) for entry in found] == ["owl", 415, "cat"]


def test_bad_files_of_a_batch_get_a_problem_in_their_place(client: TestClient) -> None:
    contents = {"a": OWL, "text": b"hello", "b": encoded(image_for("cat")), "short": OWL[:40], "empty": b""}
    files = [("files", (name, content)) for name, content in contents.items()]
    results = client.post("/predict/batch", files=files).json()["results"]
    assert [result["file"] for result in results] == list(contents)
    found = [result.get("prediction", result.get("problem")) for result in results]
    assert [entry.get("label", entry.get("status")) for entry in found] == ["owl", 415, "cat", 422, 400]


@pytest.fixture
def overflowing(client: TestClient, classifier: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Where the network's numbers become too large at a cat, as those of a network may whose pixels are not scaled."""
    told = classifier.infer

    def infer(batch: ModelInput) -> EngineOutput:
        output = told(batch)
        return output._replace(scores=np.where(output.scores[:, :1] > 0.5, np.nan, output.scores))

    monkeypatch.setattr(classifier, "infer", infer)
    return client


def test_an_answer_that_is_no_number_is_none(overflowing: TestClient) -> None:
    assert_problem(overflowing.post("/predict", content=CAT), 422, "no finite numbers; see that its pixels are scaled")
    assert overflowing.post("/predict", content=OWL).json()["label"] == "owl"


def test_of_a_batch_only_the_image_with_such_an_answer_gets_a_problem(overflowing: TestClient) -> None:
    files = [("files", ("cat.png", CAT)), ("files", ("owl.png", OWL))]
    refused, answered = overflowing.post("/predict/batch", files=files).json()["results"]
    assert refused["problem"]["status"] == 422
    assert answered["prediction"]["label"] == "owl"


def test_a_batch_of_bad_files_alone_never_reaches_the_network(client: TestClient, classifier: FakeEngine) -> None:
    results = client.post("/predict/batch", files=[("files", ("x", b"hello"))]).json()["results"]
    assert results[0]["problem"]["status"] == 415
    assert classifier.batches == []


def test_each_image_of_a_batch_that_is_refused_is_counted_by_its_reason(client: TestClient) -> None:
    def counted() -> dict[str, float]:
        families = text_string_to_metric_families(client.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return {
            sample.labels["reason"]: sample.value for sample in samples if sample.name == "keras_service_rejected_total"
        }

    before = counted()
    contents = [b"text", OWL, b"", b"more text", OWL[:-20]]
    client.post("/predict/batch", files=[("files", content) for content in contents])
    risen = {reason: value - before.get(reason, 0) for reason, value in counted().items()}
    assert {reason: value for reason, value in risen.items() if value} == {
        "unknown_format": 2,
        "empty_image": 1,
        "broken_image": 1,
    }


def test_a_batch_that_is_too_long_is_refused_whole(client: TestClient, classifier: FakeEngine) -> None:
    assert_problem(client.post("/predict/batch", files=[("files", OWL)] * 6), 400, "6 files, in the fields 'files'")
    assert classifier.batches == []


@pytest.mark.parametrize(
    ("request_", "status", "part"),
    [
        ({"data": {"a": "x"}, "files": {"b": ("", b"")}}, 400, "has no file"),
        ({"content": OWL, "headers": PNG}, 415, "is one image, as /predict takes it; send the images as multipart"),
        ({"content": b"", "headers": PNG}, 415, "multipart/form-data"),
        ({"json": {"images": []}}, 400, "'images' is a list of 0, expected a list of 1 to 5"),
        ({"json": {"images": ["AAAA"] * 6}}, 400, "a list of 6"),
        ({"json": {"images": "AAAA"}}, 400, "'images' is a text"),
        ({"json": {"images": ["AAAA", 1]}}, 400, "images[1] is a number"),
        ({"json": {"image": "AAAA"}}, 400, "expected 'images' alone"),
    ],
)
def test_a_batch_of_another_form_is_told(client: TestClient, request_: dict[str, Any], status: int, part: str) -> None:
    assert_problem(client.post("/predict/batch", **request_), status, part)


def test_uploads_never_touch_a_disk(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (130, 130), np.uint8)
    image = encoded(noise)
    assert len(image) > 15_000
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: pytest.fail("a temporary file was opened"))
    assert client.post("/predict", files={"file": io.BytesIO(image)}).status_code == 200
