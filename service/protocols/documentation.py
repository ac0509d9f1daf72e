"""How the calls of other systems' protocols appear in the OpenAPI document. Knows no protocol."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, Field

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# In a document that has all schemas in one place.
REF_TEMPLATE = "#/components/schemas/{model}"

_EXAMPLES = {
    400: "the body is empty, expected a JSON object",
    401: "this service needs an API key; send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`",
    404: "there is no model 'hats'; there are 'best-cnn-model'",
    408: "only 1,024 bytes of the body came in 10 s; send it at once, or a smaller image",
    413: "the body is larger than the 10,485,760 bytes that are read; send fewer or smaller images",
    415: "element 0 of the input: the content is not an image in a format that is read here: PNG, JPEG",
    422: "element 0 of the input: the PNG image cannot be decoded: it is damaged or cut short",
    429: "this API key has 600 requests a minute, and they are spent; go on in 7 s",
    500: "the service failed at this request; its log says more",
    501: "this is one of several replicas, and the others would not learn of it; put the file into the storage that "
    "all of them share, and start them with --watch",
    503: "256 images wait for the model and at most 256 may; send the request again later",
    504: "the model did not come to this request in time; send it again later",
    507: "the state of the models cannot be written: No space left on device",
}


class ProtocolError(BaseModel):
    """What went wrong, as the clients of other model servers read it."""

    error: Annotated[str, Field(description="what arrived, what was expected, what to do")]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a call that can fail with `statuses`; 401, 429 and 500 are always among them."""
    return {
        status: {
            "model": ProtocolError,
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"example": {"error": _EXAMPLES[status]}}},
        }
        for status in sorted({*statuses, 401, 429, 500})
    }


def for_versions(
    router: APIRouter,
    method: str,
    model: str,
    call: str,
    version: str,
    operation_id: str,
    summary: str,
    openapi_extra: dict[str, Any] | None = None,
    **documented: Any,
) -> Callable[[Endpoint], Endpoint]:
    """Let `router` have a call of the version that answers, and the same of any loaded one, which `version` describes.

    Their paths are `model` and `call`, with the version between them.
    """
    extra = openapi_extra or {}
    parameter = {"name": "version", "in": "path", "required": True, "description": version}
    named = {**extra, "parameters": [parameter | {"schema": {"type": "string"}}, *extra.get("parameters", ())]}

    def register(endpoint: Endpoint) -> Endpoint:
        for place, id_end, summary_end, more in (
            ("", "", "", extra),
            ("/versions/{version}", "_of_version", ", by version", named),
        ):
            router.add_api_route(
                f"{model}{place}{call}",
                endpoint,
                methods=[method],
                operation_id=operation_id + id_end,
                summary=summary + summary_end,
                openapi_extra=more,
                **documented,
            )
        return endpoint

    return register
