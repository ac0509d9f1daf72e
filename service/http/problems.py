"""Domain errors over HTTP: the status of each, and the problem document (RFC 9457) that tells it. Knows no call."""

import math
from http import HTTPStatus
from typing import Annotated

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from models.image_errors import BrokenImage, EmptyImage, ImageError, TooComplex, TooManyPixels, UnknownFormat
from service.errors import (
    BodyTooLarge,
    ClientDisconnected,
    DeadlineExceeded,
    MalformedRequest,
    NoFiniteAnswer,
    NotFound,
    NotInCard,
    NotInModel,
    NotSupported,
    RequestTimeout,
    ServiceError,
    StorageFailed,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from service.logs import REFUSAL, Refusal
from service.metrics import REJECTED

PROBLEM_TYPE = "application/problem+json"
CLIENT_CLOSED_REQUEST = 499  # nobody reads it; nginx's number for the same

# The first class of an error's that stands here decides; what has none is a fault of our own.
_STATUS: dict[type[Exception], int] = {
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    EmptyImage: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    NotFound: HTTPStatus.NOT_FOUND,
    NotInCard: HTTPStatus.NOT_FOUND,
    RequestTimeout: HTTPStatus.REQUEST_TIMEOUT,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    UnknownFormat: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BrokenImage: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyPixels: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooComplex: HTTPStatus.UNPROCESSABLE_ENTITY,
    NoFiniteAnswer: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotInModel: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    ClientDisconnected: CLIENT_CLOSED_REQUEST,
    NotSupported: HTTPStatus.NOT_IMPLEMENTED,
    StorageFailed: HTTPStatus.INSUFFICIENT_STORAGE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
}


class Problem(BaseModel):
    """What went wrong, after RFC 9457."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: Annotated[str, Field(description="the status in words", examples=["Bad Request"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[400])]
    detail: Annotated[str, Field(description="what arrived, what was expected, what to do")]


def status_of(error: Exception) -> int:
    """The HTTP status of `error`: 500 for whatever is not the client's doing."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return HTTPStatus.BAD_REQUEST
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), HTTPStatus.INTERNAL_SERVER_ERROR)


def detail_of(error: Exception, method: str = "") -> str:
    """What a client, who used `method`, is told of `error`; of one that is our own fault, nothing but that."""
    match error:
        case ServiceError() | ImageError():
            return str(error)
        case RequestValidationError():
            parts = (f"{part['loc'][-1]}: {part['msg']}, got {part['input']!r:.80}" for part in error.errors())
            return "; ".join(parts)
        case HTTPException(status_code=HTTPStatus.NOT_FOUND):
            return "there is no such call; /docs lists those there are"
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            return f"this call does not take {method}, but {(error.headers or {}).get('Allow', 'another method')}"
        case HTTPException():
            return error.detail
    return "the service failed at this request; its log says more"


def headers_of(error: Exception) -> dict[str, str]:
    """The headers that belong to `error`'s status, whatever the body says."""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if isinstance(error, ServiceError) and error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnsupportedEncoding):
        headers["Accept-Encoding"] = ", ".join(error.known)  # RFC 9110, 12.5.3
    if isinstance(error, RequestTimeout):
        headers["Connection"] = "close"  # the rest of the body is not waited for
    return headers


def problem_of(error: Exception, method: str = "") -> Problem:
    """The problem document for `error`."""
    status = HTTPStatus(status_of(error))
    return Problem(title=status.phrase, status=status, detail=detail_of(error, method))


def count_rejection(error: Exception) -> None:
    """Count `error` by its code, and remember it for the log. Images are counted where they are decoded, one by one.

    A client that left is refused nothing.
    """
    if isinstance(error, ClientDisconnected):
        return
    if isinstance(error, ServiceError):
        REJECTED.labels(error.code).inc()
    REFUSAL.set(_refusal_of(error))


def _refusal_of(error: Exception) -> Refusal:
    if isinstance(error, (ServiceError, ImageError)):
        return Refusal(error.code, str(error))
    if isinstance(error, RequestValidationError):  # without what was given, which is nothing for a log
        return Refusal(MalformedRequest.code, "; ".join(f"{part['loc'][-1]}: {part['msg']}" for part in error.errors()))
    if isinstance(error, HTTPException):
        return Refusal(HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"), detail_of(error, "that method"))
    return Refusal(ServiceError.code, detail_of(error))


async def respond_to_error(request: Request, error: Exception) -> Response:
    """The exception handler of our own API: `error` as a problem document."""
    count_rejection(error)
    if isinstance(error, ClientDisconnected):
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    problem = problem_of(error, request.method)
    return Response(problem.model_dump_json(), problem.status, headers_of(error), PROBLEM_TYPE)
