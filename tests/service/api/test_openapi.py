"""The OpenAPI document: everything is described, errors as they are sent; its pages need no other host."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.api import examples
from service.api.schemas import (
    Answer,
    AttributionAnswer,
    BatchAnswer,
    EmbeddingAnswer,
    FeatureMaps,
    Health,
    KernelsAnswer,
    ModelCardAnswer,
    Trace,
)
from service.engines.model_summary import ModelSummary
from service.settings import ServiceSettings
from tests.applications import application, fastapi_of
from tests.fakes import FakeEngine
from training.report import class_figures

Document = dict[str, Any]


@pytest.fixture
def document(client: TestClient) -> Document:
    return client.get("/openapi.json").json()


def test_the_document_is_made_once(client: TestClient) -> None:
    app = fastapi_of(client.app)
    assert app.openapi() is app.openapi()


PROTOCOLS = ("/v1/", "/v2")


def operations(document: Document) -> list[tuple[str, Document]]:
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


def own_operations(document: Document) -> list[tuple[str, Document]]:
    return [(path, operation) for path, operation in operations(document) if not path.startswith(PROTOCOLS)]


def schemas_in(part: Any) -> Iterator[Document]:
    """Every schema below any key of that name, and those inside of it."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if key == "schema":
            yield value
        if key not in {"example", "examples"}:
            yield from schemas_in(value)


def test_every_call_has_a_short_name_which_does_not_change(document: Document) -> None:
    of_versions = ("infer", "metadata", "ready", "config", "statistics")
    of_tfserving = ("predict", "classify", "model_status", "model_metadata")
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert set(names) == {
        "predict",
        "predict_batch",
        "embed",
        "model_summary",
        "model_card",
        "plot",
        "plot_history",
        "plot_confusion_matrix",
        "plot_kernels",
        "plot_feature_maps",
        "plot_attribution",
        "trace_value",
        "live",
        "ready",
        "metrics",
        "oip_server_metadata",
        "oip_server_live",
        "oip_server_ready",
        "oip_statistics",
        "oip_repository_index",
        "oip_repository_model_load",
        "oip_repository_model_unload",
        *(f"oip_model_{name}{end}" for name in of_versions for end in ("", "_of_version")),
        *(f"tfserving_{name}{end}" for name in of_tfserving for end in ("", "_of_version")),
    }


def test_no_shape_has_the_name_that_generators_give_a_calls_parameters(document: Document) -> None:
    names = {operation["operationId"].title().replace("_", "") for _, operation in operations(document)}
    assert not {f"{name}Request" for name in names} & document["components"]["schemas"].keys()


def test_nothing_that_may_be_left_out_of_a_body_has_a_default(document: Document) -> None:
    schemas = document["components"]["schemas"]
    for name in ("RowPredictRequest", "InferRequest", "InputTensor", "OutputParameters", "LoadRequest"):
        assert all("default" not in part for part in schemas[name]["properties"].values()), name
    assert schemas["ImageInput"]["properties"]["fit"]["default"] == "pad"


def test_every_shape_that_is_more_than_a_list_has_a_name(document: Document) -> None:
    for path, operation in operations(document):
        for schema in schemas_in(operation):
            assert {"$ref", "type"} & schema.keys() or not schema, path
            assert "properties" not in schema, path
            assert "anyOf" not in schema, path
            assert "enum" not in schema, path


def test_no_schema_has_a_title_which_generators_take_for_a_name(document: Document) -> None:
    for schema in [*document["components"]["schemas"].values(), *schemas_in(document["paths"])]:
        assert "title" not in schema
        assert all("title" not in part for part in schema.get("properties", {}).values())
    assert "title" in document["components"]["schemas"]["Problem"]["properties"]


def test_every_list_says_what_is_in_it(document: Document) -> None:
    schemas = document["components"]["schemas"]
    assert "prefixItems" not in str(schemas)
    assert schemas["Trace"]["properties"]["chosen"]["anyOf"] == [
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        {"type": "null"},
    ]


def test_methods_that_differ_in_signs_have_names_that_differ(document: Document) -> None:
    methods = document["components"]["schemas"]["AttributionMethod"]
    names = dict(zip(methods["enum"], methods["x-enum-varnames"], strict=True))
    assert (names["grad-cam"], names["grad-cam++"]) == ("GRAD_CAM", "GRAD_CAM_PLUS_PLUS")
    assert methods["default"] == "grad-cam"


def test_the_calls_are_at_this_address_or_behind_the_prefix_of_a_proxy(document: Document, client: TestClient) -> None:
    assert document["servers"] == [{"url": "/"}]
    behind = TestClient(client.app, root_path="/images").get("/openapi.json").json()
    assert behind["servers"] == [{"url": "/images"}]


def test_keys_are_needed_where_the_service_has_some(document: Document) -> None:
    settings = ServiceSettings(api_keys=("0" * 64,))
    with TestClient(application(settings, FakeEngine())) as client:
        with_keys = client.get("/openapi.json").json()
    keys = [{"bearer": []}, {"key": []}]
    assert list(document["components"]["securitySchemes"]) == ["bearer", "key"]
    for (path, operation), (_, needing) in zip(operations(document), operations(with_keys), strict=True):
        if path in {"/health/live", "/v2/health/live", "/v2/health/ready"}:
            assert operation["security"] == needing["security"] == [], path
            assert not {"401", "429"} & operation["responses"].keys(), path
        else:
            assert operation["security"] == [{}, *keys], path
            # Whether a model is ready is told without a key for the default one only.
            assert needing["security"] == ([{}, *keys] if path == "/health/ready" else keys), path
            assert {"401", "429"} <= operation["responses"].keys(), path


def test_every_call_of_tensorflow_serving_that_is_described_is_there(document: Document, client: TestClient) -> None:
    status = client.get("/v1/models/fake").json()
    version = status["model_version_status"][0]["version"]
    for path, operation in document["paths"].items():
        if path.startswith("/v1/"):
            (method,) = operation
            response = client.request(method, path.format(model="fake", version=version))
            # No body was sent.
            assert response.status_code == (200 if method == "get" else 400), response.text


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
    assert all("type" in schema or schema.keys() == {"$ref"} for schema in described)


def test_every_error_is_a_problem_with_an_example_or_as_its_protocol_has_it(document: Document) -> None:
    for path, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert errors, path
        for status, answer in errors.items():
            (content,) = answer["content"].items()
            protocol = path.startswith(PROTOCOLS)
            media_type, shape = ("json", "ProtocolError") if protocol else ("problem+json", "Problem")
            assert content[0] == f"application/{media_type}", path
            assert content[1]["schema"] == {"$ref": f"#/components/schemas/{shape}"}, path
            assert protocol or content[1]["example"]["status"] == int(status), path


def test_every_answer_has_an_example_of_its_own_shape(document: Document) -> None:
    shapes = {
        shape.__name__: shape
        for shape in (
            Answer,
            AttributionAnswer,
            BatchAnswer,
            EmbeddingAnswer,
            FeatureMaps,
            Health,
            KernelsAnswer,
            ModelCardAnswer,
            ModelSummary,
            Trace,
        )
    }
    shown = set()
    for path, operation in own_operations(document):
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
        ("/embed", "422", "no dense layer ends it"),
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


def test_an_image_can_be_chosen_from_the_page_and_is_not_empty(document: Document) -> None:
    schemas = document["components"]["schemas"]
    for path, form in (("/predict", "ImageForm"), ("/predict/batch", "ImagesForm"), ("/embed", "ImagesForm")):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert content["multipart/form-data"]["schema"] == {"$ref": f"#/components/schemas/{form}"}
    image, images = schemas["ImageForm"]["properties"]["file"], schemas["ImagesForm"]["properties"]["files"]
    assert image["format"] == images["items"]["format"] == "binary"
    assert image["minLength"] == images["minItems"] == 1
    for path in ("/predict", "/embed"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert content["image/*"]["schema"]["minLength"] == 1


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
