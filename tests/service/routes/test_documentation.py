"""The OpenAPI document: everything is described, errors as they are sent; its pages need no other host."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

Document = dict[str, Any]


@pytest.fixture
def document(client: TestClient) -> Document:
    return client.get("/openapi.json").json()


def test_the_document_is_made_once(client: TestClient) -> None:
    assert client.app.openapi() is client.app.openapi()  # type: ignore[attr-defined]


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
        "/health/live",
        "/health/ready",
    }


def test_every_call_has_a_summary_a_description_and_described_parameters(document: Document) -> None:
    for path, operation in operations(document):
        assert operation["summary"], path
        assert len(operation["description"]) > 40, path
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), path


def test_every_error_is_a_problem_with_an_example(document: Document) -> None:
    for path, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert errors, path
        for status, answer in errors.items():
            (content,) = answer["content"].items()
            assert content[0] == "application/problem+json", path
            assert content[1]["schema"] == {"$ref": "#/components/schemas/Problem"}, path
            assert content[1]["example"]["status"] == int(status), path


def test_the_answers_to_pictures_and_questions_have_examples(document: Document) -> None:
    for name in ("Answer", "BatchAnswer", "ModelSummary", "ModelCard"):
        assert document["components"]["schemas"][name]["properties"], name
    assert document["components"]["schemas"]["Answer"]["properties"]["label"]["examples"] == ["Ankle boot"]


def test_a_picture_can_be_chosen_from_the_page(document: Document) -> None:
    for path, field in (("/predict", "file"), ("/predict/batch", "files")):
        schema = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        picture = schema["properties"][field]
        assert picture.get("items", picture)["format"] == "binary"


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
