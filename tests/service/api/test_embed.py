"""POST /embed: with a classifier whose embeddings are the image's first three values, and with the shipped model."""

import base64
import gzip
import hashlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from fastapi.testclient import TestClient

from models.card import read_card
from models.preprocessing import scaled
from service.api import embed
from service.metrics import REQUESTS
from service.settings import ServiceSettings
from tests.applications import PATIENT, application, runner_of, tensorflow_engine
from tests.fakes import FakeEngine, image_for
from tests.samples import SAMPLE_FILES, SHIPPED_MODEL, encoded, pixels_of
from tests.service.api.test_predict import assert_problem, stop_taking

GREY = np.zeros((4, 4), np.uint8)
GREY[0, :3] = 51, 102, 204  # 0.2, 0.4, 0.8
IMAGE, OWL = encoded(GREY), encoded(image_for("owl"))
PNG = {"Content-Type": "image/png"}
TEXT = base64.b64encode(IMAGE).decode()


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    with TestClient(application(PATIENT, tensorflow_engine(SHIPPED_MODEL))) as client:
        yield client


def embeddings_of(answer: dict[str, Any]) -> list[list[float]]:
    return [result["embedding"] for result in answer["results"]]


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({"content": IMAGE, "headers": PNG}, "body"),
        ({"content": IMAGE}, "body"),
        ({"content": gzip.compress(IMAGE), "headers": {"Content-Encoding": "gzip"}}, "body"),
        ({"files": {"file": ("a.png", IMAGE)}}, "a.png"),
        ({"files": {"files": ("a.png", IMAGE)}}, "a.png"),
        ({"files": {"photo": ("a.png", IMAGE)}}, "a.png"),
        ({"json": {"image": TEXT}}, "image"),
        ({"json": {"b64": TEXT}}, "image"),
        ({"json": {"images": [TEXT]}}, "images[0]"),
    ],
)
def test_one_image_is_read_in_every_way_in_which_prediction_reads_it(
    client: TestClient, request_: dict[str, Any], name: str
) -> None:
    answer = client.post("/embed", **request_).json()
    assert answer == {
        "model": {"name": "fake", "version": "0123456789ab"},
        "dimension": 3,
        "normalized": False,
        "results": [{"file": name, "embedding": pytest.approx([0.2, 0.4, 0.8])}],
    }


def test_several_are_answered_in_order_by_one_call_and_a_bad_one_has_its_problem(
    client: TestClient, classifier: FakeEngine
) -> None:
    contents = [OWL, b"hello", IMAGE]
    in_form = client.post("/embed", files=[("files", (f"{at}", content)) for at, content in enumerate(contents)]).json()
    in_json = client.post("/embed", json={"images": [base64.b64encode(one).decode() for one in contents]}).json()
    assert [result["file"] for result in in_form["results"]] == ["0", "1", "2"]
    for answer in (in_form, in_json):
        owl, text, grey = answer["results"]
        assert owl["embedding"] == [0, 0, 1]
        assert text["problem"]["status"] == 415
        assert grey["embedding"] == pytest.approx([0.2, 0.4, 0.8])
    assert [len(batch) for batch in classifier.batches] == [2, 2]


def test_unit_length_is_made_of_each_that_has_one(client: TestClient) -> None:
    black = encoded(np.zeros((4, 4), np.uint8))
    answer = client.post("/embed?normalize=true", files=[("files", one) for one in (IMAGE, black)]).json()
    assert answer["normalized"] is True
    found, nothing = embeddings_of(answer)
    assert found == pytest.approx(np.array([0.2, 0.4, 0.8]) / np.sqrt(0.84), abs=1e-6)
    assert nothing == [0, 0, 0]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_unit_length_is_right_where_a_square_would_be_past_float32(size: float) -> None:
    assert embed.normalized(np.array([3 * size, 4 * size], np.float32)) == pytest.approx([0.6, 0.8])


def test_they_are_kerass_own_for_the_shipped_model(shipped: TestClient) -> None:
    files, card = SAMPLE_FILES[::9], read_card(SHIPPED_MODEL)
    assert card is not None
    model = keras.saving.load_model(SHIPPED_MODEL, compile=False)
    pixels = np.stack([pixels_of(file) for file in files])[..., np.newaxis]
    expected = keras.Model(model.inputs, model.layers[-1].input).predict(scaled(pixels, card.input), verbose=0)
    answer = shipped.post("/embed", files=[("files", file.read_bytes()) for file in files]).json()
    assert answer["dimension"] == 100
    assert len(files) * 100 > embed.SMALL_ANSWER_VALUES  # it is written on a thread
    assert np.array(embeddings_of(answer)) == pytest.approx(expected, abs=1e-4)
    (alone,) = embeddings_of(shipped.post("/embed", content=files[0].read_bytes()).json())
    assert alone == pytest.approx(expected[0], abs=1e-4)


def test_images_of_a_class_are_nearer_to_each_other_than_to_those_of_another(shipped: TestClient) -> None:
    files = [*SAMPLE_FILES[20:40], *SAMPLE_FILES[-20:]]  # trousers and ankle boots
    body = [("files", file.read_bytes()) for file in files]
    unit = np.array(embeddings_of(shipped.post("/embed?normalize=true", files=body).json()))
    assert np.linalg.norm(unit, axis=1) == pytest.approx(np.ones(40))
    cosines = unit @ unit.T - 2 * np.eye(40)
    assert ((cosines.argmax(axis=1) < 20) == (np.arange(40) < 20)).all()


def test_a_model_without_any_refuses_and_says_what_is_missing(client: TestClient, classifier: FakeEngine) -> None:
    classifier.embedding_dimension = None
    assert_problem(client.post("/embed", content=IMAGE), 422, "no dense layer ends it", "ends in Dense")
    assert client.post("/predict", content=IMAGE).json()["label"] == "owl"
    assert len(classifier.batches) == 1


@pytest.mark.parametrize(
    ("request_", "status", "part"),
    [
        ({"content": b""}, 400, "its body has 0 bytes"),
        ({"content": b"hello"}, 415, "not an image in a format that is read here"),
        ({"files": {"file": b"hello"}}, 415, "not an image in a format that is read here"),
        ({"content": OWL[:40]}, 422, "PNG image"),
        ({"content": bytes(20_001)}, 413, "20,000 bytes"),
        ({"json": {"image": TEXT, "normalize": True}}, 400, "parameters go into the address"),
        ({"json": {"images": []}}, 400, "expected a list of 1 to 5 images"),
        ({"json": [TEXT]}, 400, 'as JSON {"image": "<base64>"}; or send the images'),
        ({"files": [("files", OWL)] * 6}, 400, "expected at most 5"),
        ({"content": IMAGE, "params": {"model": "other"}}, 404, "no model 'other'"),
        ({"content": IMAGE, "params": {"normalize": "perhaps"}}, 400, "normalize"),
    ],
)
def test_what_is_wrong_is_told_as_for_a_prediction(
    client: TestClient, request_: dict[str, Any], status: int, part: str
) -> None:
    assert_problem(client.post("/embed", **request_), status, part)


def test_more_values_than_are_sent_as_json_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "MOST_VALUES", 5)
    assert len(client.post("/embed", files=[("files", OWL)]).json()["results"]) == 1
    assert_problem(client.post("/embed", files=[("files", OWL)] * 2), 400, "6 values, and at most 5", "fewer images")


def test_a_key_is_needed_where_one_is_for_a_prediction(classifier: FakeEngine) -> None:
    digest = hashlib.sha256(b"test").hexdigest()
    with TestClient(application(ServiceSettings(api_keys=[digest]), classifier)) as client:
        assert_problem(client.post("/embed", content=IMAGE), 401, "needs an API key")
        assert client.post("/embed", content=IMAGE, headers={"X-API-Key": "test"}).status_code == 200


def test_it_is_counted_by_its_path(client: TestClient) -> None:
    counter = REQUESTS.labels("/embed", 200)
    before = counter._value.get()
    client.post("/embed", content=IMAGE)
    assert counter._value.get() == before + 1


def test_while_the_service_stops_it_is_unavailable(client: TestClient) -> None:
    runner = runner_of(client)
    assert runner.embedding_dimension == 3
    stop_taking(client)
    assert_problem(client.post("/embed", content=IMAGE), 503, "stopping")
