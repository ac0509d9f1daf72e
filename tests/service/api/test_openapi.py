"""The OpenAPI document: everything is described, errors as they are sent; its pages need no other host."""

import re
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.api import examples
from service.api.schemas import (
    Answer,
    AttributionAnswer,
    BatchAnswer,
    FeatureMaps,
    Health,
    KernelsAnswer,
    ModelCardAnswer,
    Trace,
)
from service.engines.model_summary import ModelSummary
from tests.applications import fastapi_of
from training.report import class_figures

Document = dict[str, Any]


@pytest.fixture
def document(client: TestClient) -> Document:
    return client.get("/openapi.json").json()


def test_the_document_is_made_once(client: TestClient) -> None:
    app = fastapi_of(client.app)
    assert app.openapi() is app.openapi()


def operations(document: Document) -> list[tuple[str, Document]]:
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


def test_every_call_of_the_api_is_there(document: Document) -> None:
    assert set(document["paths"]) == {
        "/predict",
        "/predict/batch",
        "/model-summary",
        "/model-card",
        "/plot",
        "/plot/history",
        "/plot/confusion-matrix",
        "/plot/kernels",
        "/plot/feature-maps",
        "/plot/attribution",
        "/trace",
        "/health/live",
        "/health/ready",
        "/metrics",
    }


def test_every_call_has_a_summary_a_description_and_described_parameters(document: Document) -> None:
    for path, operation in operations(document):
        assert operation["summary"], path
        assert len(operation["description"]) > 40, path
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), path


def test_no_parameter_is_said_to_be_null(document: Document) -> None:
    described = [
        parameter["schema"]
        for path in document["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", ())
    ]
    assert len(described) > 20
    assert all("type" in schema and "anyOf" not in schema for schema in described)


def test_every_error_is_a_problem_with_an_example(document: Document) -> None:
    for path, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert errors, path
        for status, answer in errors.items():
            (content,) = answer["content"].items()
            assert content[0] == "application/problem+json", path
            assert content[1]["schema"] == {"$ref": "#/components/schemas/Problem"}, path
            assert content[1]["example"]["status"] == int(status), path


def test_every_answer_has_an_example_of_its_own_shape(document: Document) -> None:
    shapes = {
        shape.__name__: shape
        for shape in (
            Answer,
            AttributionAnswer,
            BatchAnswer,
            FeatureMaps,
            Health,
            KernelsAnswer,
            ModelCardAnswer,
            ModelSummary,
            Trace,
        )
    }
    shown = set()
    for path, operation in operations(document):
        contents = operation["responses"]["200"]["content"]
        assert contents, path
        for media_type, content in contents.items():
            if media_type == "application/json":
                name = content["schema"]["$ref"].rpartition("/")[2]
                example = shapes[name].model_validate(content["example"])
                assert example.model_dump(mode="json", exclude_none=True) == content["example"], path
                shown.add(name)
            else:
                assert len(content["example"]) > 20, path
    assert shown == set(shapes)


def test_the_examples_agree_with_themselves() -> None:
    assert examples.MODEL_SUMMARY.parameters == sum(layer.parameters for layer in examples.MODEL_SUMMARY.layers)
    assert f"Total params: {examples.MODEL_SUMMARY.parameters:,}" in examples.SUMMARY_TABLE
    evaluation = examples.MODEL_CARD.evaluation
    matrix = np.array(evaluation.confusion_matrix)
    kernels, traced = examples.KERNELS, examples.TRACE
    assert np.mean(kernels.kernels) == pytest.approx(kernels.mean)
    assert np.std(kernels.kernels) == pytest.approx(kernels.standard_deviation, abs=1e-4)
    assert sum(kernels.histogram.counts) == np.size(kernels.kernels)
    assert np.array(traced.window.values) * traced.kernel == pytest.approx(np.array(traced.products))
    assert np.sum(traced.products) + traced.bias == pytest.approx(traced.total)
    attribution = examples.ATTRIBUTION
    assert np.sum(attribution.values) == attribution.score - attribution.baseline_score
    assert evaluation.test.accuracy == matrix.trace() / matrix.sum()
    for shown, counted in zip(evaluation.per_class, class_figures(("cat", "dog"), matrix), strict=True):
        assert shown.model_dump() == pytest.approx(counted.model_dump(), abs=1e-4)


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/predict/batch", "400", "'files'"),
        ("/plot", "400", "style"),
        ("/plot", "503", "apt-get install graphviz"),
        ("/plot/history", "404", "trained"),
        ("/plot/confusion-matrix", "404", "tested"),
        ("/plot/kernels", "422", "conv9"),
        ("/plot/attribution", "422", "class: 'Hat'"),
        ("/health/ready", "503", "stopping"),
    ],
)
def test_an_error_is_shown_as_this_call_sends_it(document: Document, path: str, status: str, part: str) -> None:
    (operation,) = document["paths"][path].values()
    (content,) = operation["responses"][status]["content"].values()
    assert part in content["example"]["detail"]


def test_a_image_can_be_chosen_from_the_page(document: Document) -> None:
    for path, field in (("/predict", "file"), ("/predict/batch", "files")):
        schema = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        image = schema["properties"][field]
        assert image.get("items", image)["format"] == "binary"


def test_the_document_says_that_no_image_is_empty_and_no_batch_without_files(document: Document) -> None:
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert content["image/*"]["schema"]["minLength"] == 1
    assert content["multipart/form-data"]["schema"]["properties"]["file"]["minLength"] == 1
    content = document["paths"]["/predict/batch"]["post"]["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["properties"]["files"]["minItems"] == 1


def test_nothing_of_fastapis_own_errors_is_left(document: Document) -> None:
    assert "HTTPValidationError" not in str(document)


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_pages_take_everything_from_this_service(client: TestClient, page: str) -> None:
    response = client.get(page)
    assert response.status_code == 200
    links = re.findall(r"""(?:src|href)=["']([^"']+)""", response.text)
    assert links
    for link in links:
        assert link.startswith("/"), link
        assert client.get(link).status_code == 200, link


def test_redoc_may_not_fetch_its_makers_logo(client: TestClient) -> None:
    assert client.get("/redoc").headers["content-security-policy"] == "img-src 'self' data:"
