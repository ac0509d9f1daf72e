"""How the calls appear in the OpenAPI document: bodies that FastAPI cannot derive, and every error with an example."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.errors import PROBLEM_TYPE
from service.schemas import Problem

_DETAILS = {
    400: "the form has no file in a field 'file'; its fields: 'picture'",
    404: "the card of this model says nothing of how it was trained",
    413: "the body is larger than the 10,485,760 bytes that are read; send a smaller picture",
    415: "the content is not a picture in a format that is read here: PNG, JPEG, GIF, BMP, WEBP",
    422: "the PNG picture cannot be decoded: it is damaged or cut short",
    500: "the service failed at this request; its log says more",
    503: "256 pictures wait for the network and at most 256 may; send the request again later",
    504: "the network did not come to this request in time; send it again later",
}

_BINARY = {"type": "string", "format": "binary"}

PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _BINARY | {"description": "the picture"}},
                }
            },
            "image/*": {"schema": _BINARY},
        },
    }
}

FILES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": _BINARY, "description": "the pictures"}},
                }
            }
        },
    }
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a call that can fail with `statuses`, each with an example; 500 is always among them."""
    return {status: _problem(status, _DETAILS[status]) for status in (*statuses, 500)}


def picture_answers(*forms: str) -> dict[str, Any]:
    """The `content` of a call that answers with encoded pictures of these media types."""
    return {form: {"schema": _BINARY} for form in forms}


def install_documentation(app: FastAPI) -> None:
    """Let `app` describe errors as it sends them: problem documents, and no validation errors of another shape."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            schemas = document["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for path in document["paths"].values():
                for operation in path.values():
                    _drop_validation_error(operation["responses"])
            schemas["Problem"] = Problem.model_json_schema()
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _problem(status: int, detail: str) -> dict[str, Any]:
    example = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail).model_dump()
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_TYPE: {"schema": schema, "example": example}},
    }


def _drop_validation_error(responses: dict[str, Any]) -> None:
    """Remove the answer that FastAPI adds on its own to calls with parameters: ours is 400, as a problem."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
