"""Model, plots, health and unknown calls, with the real shipped model behind them."""

import io
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models.card import ModelCard, read_card
from tests.applications import PATIENT, application, tensorflow_engine
from tests.fakes import FakeEngine
from tests.samples import SHIPPED_MODEL
from tests.service.api.test_predict import assert_problem, stop_taking


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    classifier = tensorflow_engine(SHIPPED_MODEL)
    with TestClient(application(PATIENT, classifier)) as client:
        yield client


@pytest.fixture(scope="module")
def bare(bare_model_file) -> Iterator[TestClient]:
    classifier = tensorflow_engine(bare_model_file)
    with TestClient(application(PATIENT, classifier)) as client:
        yield client


def test_the_summary_lists_the_textbooks_layers(shipped: TestClient) -> None:
    summary = shipped.get("/model-summary").json()
    assert summary["parameters"] == summary["trainable_parameters"] == 333_526
    assert summary["input_shape"] == [28, 28, 1]
    assert [(layer["type"], layer["output_shape"], layer["parameters"]) for layer in summary["layers"]] == [
        ("Conv2D", [28, 28, 32], 320),
        ("MaxPooling2D", [14, 14, 32], 0),
        ("Conv2D", [14, 14, 64], 18_496),
        ("MaxPooling2D", [7, 7, 64], 0),
        ("Flatten", [3136], 0),
        ("Dense", [100], 313_700),
        ("Dropout", [100], 0),
        ("Dense", [10], 1_010),
    ]
    convolution, pooling = summary["layers"][:2]
    assert (convolution["kernel_size"], convolution["strides"], convolution["padding"]) == ([3, 3], [1, 1], "same")
    assert (convolution["activation"], convolution["filters"]) == ("relu", 32)
    assert (pooling["pool_size"], pooling["strides"], pooling["activation"]) == ([2, 2], [2, 2], None)
    assert summary["layers"][6]["dropout"] == 0.4


def test_the_summary_is_kerass_own_table_for_those_who_ask_for_text(shipped: TestClient) -> None:
    response = shipped.get("/model-summary", headers={"Accept": "text/plain"})
    assert response.headers["content-type"].startswith("text/plain")
    assert "Total params: 333,526" in response.text
    assert all(part in response.text for part in ("conv2d (Conv2D)", "(None, 28, 28, 32)", "18,496"))
    assert max(map(len, response.text.splitlines())) <= 80


def test_the_card_is_the_files(shipped: TestClient) -> None:
    assert ModelCard.model_validate(shipped.get("/model-card").json()) == read_card(SHIPPED_MODEL)


def test_a_file_without_a_card_has_nothing_to_say_of_its_training(bare: TestClient) -> None:
    card = bare.get("/model-card").json()
    assert (card["training"], card["evaluation"], card["data"]) == (None, None, None)
    assert card["class_names"] == ["class 0", "class 1", "class 2"]
    guessed = [found["field"] for found in card["sources"] if found["guessed"]]
    assert card["assumed"] == guessed
    assert "class_names" in guessed
    assert_problem(bare.get("/plot/history"), 404, "how it was trained")
    assert_problem(bare.get("/plot/confusion-matrix"), 404, "how it was tested")


PLOTS = ["/plot", "/plot?style=blocks", "/plot/history", "/plot/confusion-matrix"]


@pytest.mark.parametrize("path", PLOTS)
def test_plots_are_png_by_default(shipped: TestClient, path: str) -> None:
    response = shipped.get(path)
    assert response.headers["content-type"] == "image/png"
    assert min(Image.open(io.BytesIO(response.content)).size) > 400


@pytest.mark.parametrize("path", PLOTS)
def test_plots_are_svg_by_accept_or_by_format(shipped: TestClient, path: str) -> None:
    by_accept = shipped.get(path, headers={"Accept": "image/svg+xml"})
    by_format = shipped.get(path, params={**dict(by_accept.request.url.params), "format": "svg"})
    assert by_accept.headers["content-type"] == by_format.headers["content-type"] == "image/svg+xml"
    assert by_accept.content == by_format.content
    assert ElementTree.fromstring(by_accept.content).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_graph_names_layers_and_shapes(shipped: TestClient) -> None:
    image = shipped.get("/plot?format=svg").text
    assert all(text in image for text in ("Conv2D", "MaxPooling2D", "Dropout", "(None, 7, 7, 64)"))


def test_the_blocks_name_shapes_kernels_and_parameters(shipped: TestClient) -> None:
    image = shipped.get("/plot?style=blocks&format=svg").text
    expected = (
        "28×28×1",
        "28×28×32",
        "14×14×64",
        "7×7×64",
        "3136",
        "kernel 3×3",
        "padding same",
        "max pooling",
        "window 2×2",
        "relu",
    )
    assert all(f">{text}<" in image for text in (*expected, "18,496 parameters", "Dropout 0.4", "softmax"))


def test_without_graphviz_the_graph_is_503_and_the_blocks_still_work(
    bare_model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    # One of its own: what draws takes over what stands there when it starts.
    with TestClient(application(PATIENT, tensorflow_engine(bare_model_file))) as bare:
        assert_problem(bare.get("/plot"), 503, "apt-get install graphviz", "?style=blocks")
        assert bare.get("/plot?style=blocks").status_code == 200


@pytest.mark.parametrize("query", ["format=gif", "style=lego"])
def test_an_unknown_style_or_format_is_malformed(shipped: TestClient, query: str) -> None:
    assert_problem(shipped.get(f"/plot?{query}"), 400, query.partition("=")[2])


def test_a_ready_service_says_so(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_a_service_that_is_stopping_is_alive_but_not_ready(client: TestClient) -> None:
    stop_taking(client)
    assert client.get("/health/live").status_code == 200
    response = client.get("/health/ready")
    assert_problem(response, 503, "stopping")
    assert response.headers["retry-after"] == "1"


def test_a_fault_of_our_own_is_500_and_says_no_more(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.dependencies.context_of", lambda *_: 1 / 0)
    response = client.get("/model-card")
    assert_problem(response, 500, "its log says more")
    assert "division" not in response.text


def test_without_an_installed_distribution_the_version_is_0(
    classifier: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.app.DISTRIBUTION", "not-installed-anywhere")
    with TestClient(application(PATIENT, classifier)) as client:
        assert client.get("/openapi.json").json()["info"]["version"] == "0"


def test_an_unknown_path_points_to_the_documentation(client: TestClient) -> None:
    assert_problem(client.get("/nothing/here"), 404, "/docs")


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", "/predict", "POST"), ("DELETE", "/model-card", "GET")])
def test_a_wrong_method_is_told_the_right_one(client: TestClient, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    assert_problem(response, 405, method, allowed)
    assert response.headers["allow"] == allowed
