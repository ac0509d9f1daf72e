"""How the Open Inference Protocol's calls appear in the OpenAPI document, where FastAPI cannot derive it."""

from typing import Annotated, Any

from fastapi import Path

from service.protocols.documentation import REF_TEMPLATE
from service.protocols.oip.answers import InferResponse
from service.protocols.oip.infer import JSON_LENGTH
from service.protocols.oip.tensors import InferRequest

ModelName = Annotated[str, Path(description="the model's name, as in its card")]

_BINARY = {"type": "string", "format": "binary"}

INFER_BODY = {
    "parameters": [
        {
            "name": JSON_LENGTH,
            "in": "header",
            "description": "the length of the JSON in bytes, where tensors follow it; 0 for a body that is one image",
            "schema": {"type": "integer", "minimum": 0},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": InferRequest.model_json_schema(ref_template=REF_TEMPLATE)},
            "application/octet-stream": {"schema": _BINARY},
        },
    },
}

INFERRED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": InferResponse,
        "description": "The output as JSON; in binary, JSON and what follows it",
        "content": {"application/octet-stream": {"schema": _BINARY}},
    }
}
