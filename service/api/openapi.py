"""How our own calls appear in the OpenAPI document: bodies that FastAPI cannot derive, answers with an example."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from models.image_formats import FORMATS
from service.http.problems import PROBLEM_TYPE, Problem

_DETAILS = {
    400: "the form has 2 files, in the fields 'a', 'b'; expected one, in the field 'file'",
    401: "this service needs an API key; send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`",
    404: "there is no model 'hats'; there are 'best-cnn-model'",
    408: "only 1,024 bytes of the body came in 10 s; send it at once, or a smaller image",
    413: "the body is larger than the 10,485,760 bytes that are read; send fewer or smaller images",
    415: f"the content is not an image in a format that is read here: {', '.join(FORMATS)}",
    422: "the PNG image cannot be decoded: it is damaged or cut short",
    429: "this API key has 600 requests a minute, and they are spent; go on in 7 s",
    500: "the service failed at this request; its log says more",
    503: "256 images wait for the model and at most 256 may; send the request again later",
    504: "the model did not come to this request in time; send it again later",
}

# What an encoded image looks like to a person who reads the page.
_IMAGE_EXAMPLES = {
    "image/png": "(the bytes of a PNG file)",
    "image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320">…</svg>',
}

_Body = dict[str, dict[str, Any]]

_BINARY = {"type": "string", "format": "binary"}
ARRAY_TYPE = "application/octet-stream"  # an array has no media type of its own
# An empty file is answered with 400, so the document says that an image has bytes.
_IMAGE = _BINARY | {"minLength": 1}
# That JSON is taken too is left to words: OpenAPI Generator's clients prefer it wherever it stands, and send it empty.
IMAGE_BODY: _Body = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "title": "ImageForm",
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _IMAGE | {"description": "the image"}},
                }
            },
            "image/*": {"schema": _IMAGE},
        },
    }
}

FILES_BODY: _Body = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "title": "ImagesForm",
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": _BINARY, "minItems": 1, "description": "the images"}
                    },
                }
            },
        },
    }
}

# One image alone, or several.
IMAGES_BODY: _Body = {
    "requestBody": {
        "required": True,
        "content": {
            **FILES_BODY["requestBody"]["content"],
            "image/*": IMAGE_BODY["requestBody"]["content"]["image/*"],
        },
    }
}


def problems(*statuses: int, details: Mapping[int, str] | None = None) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a call that can fail with `statuses`, each with an example; 401, 429 and 500 are among them.

    `details` are statuses more, with an example of this call's own.
    """
    texts = {status: _DETAILS[status] for status in (*statuses, 401, 429, 500)} | dict(details or {})
    return {status: _problem(status, text) for status, text in sorted(texts.items())}


def answers(
    example: BaseModel, text: str | None = None, images: tuple[str, ...] = (), *, arrays: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a call that answers as JSON like `example` does.

    On demand also as plain text like `text`, as an image of one of these media types, or as an array of numbers.
    """
    content: dict[str, Any] = {"application/json": {"example": example.model_dump(mode="json", exclude_none=True)}}
    if text is not None:
        content["text/plain"] = {"schema": {"type": "string"}, "example": text}
    if arrays:
        content[ARRAY_TYPE] = {"schema": _BINARY, "example": "(an array in the format of NumPy's .npy files)"}
    return {200: {"content": content | _images(images)}}


def plot_answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a call that answers with an encoded image of one of these media types."""
    return {200: {"content": _images(media_types), "description": "The image"}}


def _images(media_types: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"schema": _BINARY, "example": _IMAGE_EXAMPLES[name]} for name in media_types}


def _problem(status: int, detail: str) -> dict[str, Any]:
    example = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail).model_dump()
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_TYPE: {"schema": schema, "example": example}},
    }
