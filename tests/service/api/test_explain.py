"""The calls that show the model's inside, over HTTP, on the shipped model and on a bare one without a card."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import keras
import numpy as np
import pytest
from fastapi.testclient import TestClient
from keras import layers
from PIL import Image

from models.file_version import file_version
from service.api.schemas import AttributionAnswer, FeatureMaps, KernelsAnswer, Trace
from service.explain.results import Method
from tests.applications import PATIENT, application, tensorflow_engine
from tests.samples import ANKLE_BOOT, DRAWINGS, SHIPPED_MODEL, encoded
from tests.service.api.test_predict import assert_problem

JSON = {"Accept": "application/json"}
BOOT = {"file": ANKLE_BOOT.read_bytes()}
CALLS = ["/plot/feature-maps", "/plot/attribution", "/trace"]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    classifier = tensorflow_engine(SHIPPED_MODEL)
    with TestClient(application(PATIENT, classifier)) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/plot/kernels"),
        ("GET", "/plot/kernels?layer=conv2d_1"),
        ("GET", "/plot/kernels?layer=conv2d_1&channel=3&scale=fixed"),
        ("POST", "/plot/feature-maps"),
        ("POST", "/plot/feature-maps?layer=conv2d_1&order=strongest"),
        ("POST", "/plot/attribution"),
        ("POST", "/plot/attribution?method=integrated-gradients&class=Bag"),
    ],
)
def test_each_is_a_image_that_names_the_model(client: TestClient, method: str, path: str) -> None:
    files = BOOT if method == "POST" else None
    png = client.request(method, path, files=files)
    assert png.headers["content-type"] == "image/png"
    assert png.headers["model-version"] == file_version(SHIPPED_MODEL)
    assert min(Image.open(io.BytesIO(png.content)).size) > 400
    svg = client.request(method, path, files=files, headers={"Accept": "image/svg+xml"})
    assert svg.headers["content-type"] == "image/svg+xml"
    assert ElementTree.fromstring(svg.content).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_numbers_of_one_layer_are_there_as_numpy_writes_them(client: TestClient) -> None:
    for layer in ("max_pooling2d_1", "dense_1"):
        as_json = client.post(f"/plot/feature-maps?layer={layer}", files=BOOT, headers=JSON).json()["layers"][0]
        answer = client.post(f"/plot/feature-maps?layer={layer}&format=npy", files=BOOT)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["model-version"] == file_version(SHIPPED_MODEL)
        packed = np.load(io.BytesIO(answer.content))
        assert packed.dtype == np.float32
        assert list(packed.shape) == as_json["shape"]
        maps = packed if as_json["maps"] is None else packed.transpose(2, 0, 1)
        assert maps == pytest.approx(np.array(as_json["maps"] or as_json["values"]), abs=1e-6)
    refused = client.post("/plot/feature-maps?format=npy", files=BOOT)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("layer: format=npy is for one layer, and none is named")


def test_the_numbers_are_there_as_json(client: TestClient) -> None:
    maps = FeatureMaps.model_validate(client.post("/plot/feature-maps", files=BOOT, headers=JSON).json())
    assert maps.model.version == file_version(SHIPPED_MODEL)
    assert [layer.shape for layer in maps.layers] == [
        (28, 28, 32),
        (14, 14, 32),
        (14, 14, 64),
        (7, 7, 64),
        (100,),
        (10,),
    ]
    first, last = maps.layers[0], maps.layers[-1]
    assert first.maps is not None
    assert np.shape(first.maps) == (32, 28, 28)
    means = np.mean(first.maps, axis=(1, 2))
    assert first.strongest[0] == means.argmax()
    answer = client.post("/predict", files=BOOT).json()
    assert last.values is not None
    assert last.values[answer["index"]] == pytest.approx(answer["probability"], abs=2e-6)

    kernels = KernelsAnswer.model_validate(client.get("/plot/kernels?format=json").json())
    traced = Trace.model_validate(
        client.post("/trace?layer=conv2d&filter=3&row=20&column=5", files=BOOT, headers=JSON).json()
    )
    assert traced.kernel == pytest.approx(np.array(kernels.kernels[3]), abs=2e-6)
    assert kernels.biases is not None
    assert traced.bias == pytest.approx(kernels.biases[3], abs=2e-6)
    assert traced.value == pytest.approx(first.maps[3][20][5], abs=2e-6)

    pooled = Trace.model_validate(client.post("/trace?layer=max_pooling2d&row=3&column=3", files=BOOT).json())
    assert pooled.kind == "maximum"
    assert pooled.value == pytest.approx(np.max(pooled.window.values), abs=2e-6)


def test_more_numbers_than_a_caller_can_want_are_not_sent(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.explain.MOST_VALUES", 5000)
    refused = client.post("/plot/feature-maps", files=BOOT, headers=JSON)
    assert_problem(refused, 422, "47,150 values", "at most 5,000", "name a smaller layer")
    assert client.post("/plot/feature-maps?layer=max_pooling2d_1", files=BOOT, headers=JSON).status_code == 200
    assert client.post("/plot/feature-maps", files=BOOT).headers["content-type"] == "image/png"


@pytest.mark.parametrize(("wanted", "index"), [("ankle boot", 9), ("Bag", 8), ("0", 0), (None, 9)])
def test_a_class_is_named_or_numbered_or_the_answer(client: TestClient, wanted: str | None, index: int) -> None:
    query = {"class": wanted} if wanted else {}
    found = client.post("/plot/attribution", params=query, files=BOOT, headers=JSON).json()
    assert AttributionAnswer.model_validate(found).index == index
    assert np.shape(found["values"]) == (28, 28)
    assert found["frame"] == {"left": 0, "top": 0, "width": 1, "height": 1}


def test_where_the_network_looked_in_a_photograph_is_told(client: TestClient) -> None:
    trouser = next(file for file in DRAWINGS if "trouser" in file.name)
    small = Image.open(trouser)
    page = Image.new("RGB", (200, 100), "white")
    page.paste(small, (120, 20), small)
    frame = client.post("/plot/attribution", files={"file": encoded(page)}, headers=JSON).json()["frame"]
    # The drawing fills its 64 pixels from top to bottom, and stands with its middle at 152, 52.
    assert frame["width"] * 200 == pytest.approx(frame["height"] * 100, rel=0.05)
    assert (frame["left"] + frame["width"] / 2) * 200 == pytest.approx(152, abs=3)
    assert (frame["top"] + frame["height"] / 2) * 100 == pytest.approx(52, abs=3)


@pytest.mark.parametrize(
    ("method", "path", "part"),
    [
        ("GET", "/plot/kernels?layer=dense", "it has conv2d, conv2d_1"),
        ("GET", "/plot/kernels?channel=1", "channel: 1"),
        ("POST", "/plot/feature-maps?layer=flatten", "layer: 'flatten'"),
        ("POST", "/plot/attribution?class=Hat", "class: 'Hat' is none of the classes"),
        ("POST", "/plot/attribution?class=10", "or 0 to 9"),
        ("POST", "/trace?row=28", "row: 28 is past the 28"),
    ],
)
def test_what_the_network_does_not_have_is_422(client: TestClient, method: str, path: str, part: str) -> None:
    assert_problem(client.request(method, path, files=BOOT if method == "POST" else None), 422, part)


@pytest.mark.parametrize("path", CALLS)
def test_pictures_are_read_as_by_predict(client: TestClient, path: str) -> None:
    raw = client.post(path, content=BOOT["file"], headers={"Content-Type": "image/png", **JSON})
    assert raw.json() == client.post(path, files=BOOT, headers=JSON).json()
    assert_problem(client.post(path, files={"file": b"%PDF-1.7"}), 415, "not an image")
    assert_problem(client.post(path, files={"file": b""}), 400, "0 bytes")
    assert_problem(client.post(path), 400, "no image")
    assert_problem(client.post(path, files={"file": BOOT["file"][:60]}), 422, "damaged or cut short")


@pytest.mark.parametrize("query", ["method=tea-leaves", "format=gif"])
def test_unknown_choices_are_malformed(client: TestClient, query: str) -> None:
    assert_problem(client.post(f"/plot/attribution?{query}", files=BOOT), 400, query.partition("=")[2])


def test_a_network_inside_of_another_is_looked_into(tmp_path: Path) -> None:
    """As transfer learning makes it: its feature maps were answered with 500."""
    start = keras.Input((8, 8, 3))
    body = keras.Model(start, layers.Conv2D(4, 3, name="inside")(start), name="body")
    stack = [keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), body, layers.GlobalAveragePooling2D()]
    keras.Sequential([*stack, layers.Dense(2, activation="softmax")]).save(tmp_path / "nested.keras")
    classifier = tensorflow_engine(tmp_path / "nested.keras")
    image = {"file": encoded(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))}
    with TestClient(application(PATIENT, classifier)) as nested:
        listed = [layer["name"] for layer in nested.get("/model-summary").json()["layers"]]
        maps = nested.post("/plot/feature-maps", files=image, headers=JSON).json()["layers"]
        assert [layer["layer"] for layer in maps] == listed
        assert listed[1] == "inside"
        assert nested.post("/plot/feature-maps", files=image).status_code == 200
        assert nested.get("/plot/kernels?layer=inside").status_code == 200
        traced = nested.post("/trace?layer=inside", files=image).json()
        assert traced["value"] == pytest.approx(maps[1]["maps"][0][0][0], abs=1e-6)
        for method in get_args(Method):
            answer = nested.post("/plot/attribution", params={"method": method}, files=image, headers=JSON)
            assert answer.status_code == 200


def test_a_bare_network_in_colour_is_shown_too(bare_model_file) -> None:
    classifier = tensorflow_engine(bare_model_file)
    with TestClient(application(PATIENT, classifier)) as bare:
        colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
        image = {"file": encoded(colours)}
        kernels = bare.get("/plot/kernels?format=json").json()["kernels"]
        assert np.shape(kernels) == (4, 3, 3, 3)
        for path in CALLS:
            assert bare.post(path, files=image).status_code == 200, path
        for method in ("grad-cam", "saliency", "occlusion"):
            found = bare.post("/plot/attribution", params={"method": method}, files=image, headers=JSON).json()
            assert np.shape(found["values"]) == (8, 8)
