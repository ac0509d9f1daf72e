"""The error tree, and the one handler that tells any error: as a problem document (RFC 9457), or as others do."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from types import MappingProxyType

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from models.preprocessing import BrokenImage, ImageError, TooManyPixels, UnknownFormat
from service.api.schemas import Problem
from service.metrics import REJECTED

PROBLEM_TYPE = "application/problem+json"

_OTHERS_PATHS = re.compile(r"/v1/models|/v2(/|$)", re.IGNORECASE)

_IMAGE_STATUS: dict[type[ImageError], HTTPStatus] = {
    UnknownFormat: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BrokenImage: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyPixels: HTTPStatus.UNPROCESSABLE_ENTITY,
}


class ServiceError(Exception):
    """Something that the caller is told about. The text says what arrived, what was expected, what to do.

    ServiceError
      ├─ MalformedRequest      400
      ├─ Unauthorized          401  no API key, or not one that is known
      ├─ NotFound               404  no such model, version, label or call
      ├─ NotInCard             404  the model file says nothing of what was asked for
      ├─ RequestTimeout        408  the body came too slowly
      ├─ BodyTooLarge          413
      ├─ UnsupportedMediaType  415
      ├─ NotInModel          422  the model has no such layer, map, place or class
      ├─ TooManyRequests       429  the key's allowance is spent
      ├─ StorageFailed         507  no room, or no right, to write a temporary file
      ├─ BatchFailed           500  the model failed at the batch that the request was in
      ├─ Unavailable           503
      │    ├─ NotReady              the model is not loaded, or the service is stopping
      │    ├─ Overloaded            more waits already than may
      │    └─ GraphvizMissing       the program that draws the diagram is not installed
      └─ DeadlineExceeded      504  the answer was not there in time
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    headers: Mapping[str, str] = MappingProxyType({})


class MalformedRequest(ServiceError):
    """The request is not of the form that the call takes."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(ServiceError):
    """The request has no API key, or not one that is known."""

    status = HTTPStatus.UNAUTHORIZED
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class NotInCard(ServiceError):
    """The model file says nothing of what was asked for."""

    status = HTTPStatus.NOT_FOUND


class NotFound(ServiceError):
    """There is no such model, version, label or call here."""

    status = HTTPStatus.NOT_FOUND


class RequestTimeout(ServiceError):
    """The body came too slowly."""

    status = HTTPStatus.REQUEST_TIMEOUT
    headers = MappingProxyType({"Connection": "close"})  # the rest of the body is not waited for


class BodyTooLarge(ServiceError):
    """The body has more bytes than are read."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(ServiceError):
    """The body is declared to be something that the call does not take."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class NotInModel(ServiceError):
    """The model has no such layer, map, place or class."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyRequests(ServiceError):
    """The allowance of the caller's key is spent."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, per_minute: float, wait_s: float) -> None:
        """The key has `per_minute` requests, and one again in `wait_s` seconds."""
        self.headers = MappingProxyType({"Retry-After": str(math.ceil(wait_s))})
        super().__init__(
            f"this API key has {per_minute:g} requests a minute, and they are spent; go on in {math.ceil(wait_s)} s"
        )


class StorageFailed(ServiceError):
    """The service cannot write a temporary file."""

    status = HTTPStatus.INSUFFICIENT_STORAGE

    def __init__(self, cause: OSError) -> None:
        """`cause` is what the system said."""
        super().__init__(
            f"the service cannot write to its folder for temporary files ({cause.strerror or cause}); make room or "
            "mend its rights there (TMPDIR names it), and send the request again"
        )


@contextmanager
def writing_temporary_files() -> Iterator[None]:
    """Raises StorageFailed for whatever the system says to what is done meanwhile."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(error) from error


class BatchFailed(ServiceError):
    """The model failed at the batch that the request was in. Its cause is what was raised there."""


class Unavailable(ServiceError):
    """The call cannot be answered at present."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


STOPPING = "the service is stopping; send the request again to another one, or later"


class NotReady(Unavailable):
    """The model is not loaded, or the service is stopping."""

    headers = MappingProxyType({"Retry-After": "1"})


class Overloaded(Unavailable):
    """More waits already than may."""

    headers = MappingProxyType({"Retry-After": "1"})


class GraphvizMissing(Unavailable):
    """The program that draws the diagram is not installed."""


class DeadlineExceeded(ServiceError):
    """The answer was not there in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT


def problem_of(error: Exception) -> Problem:
    """What the caller is told of `error`; of one that is our own fault, nothing but that."""
    match error:
        case ServiceError():
            return _problem(error.status, str(error))
        case ImageError():
            return _problem(_IMAGE_STATUS[type(error)], str(error))
        case RequestValidationError():
            parts = (f"{part['loc'][-1]}: {part['msg']}, got {part['input']!r:.80}" for part in error.errors())
            return _problem(HTTPStatus.BAD_REQUEST, "; ".join(parts))
        case HTTPException():
            return _problem(HTTPStatus(error.status_code), error.detail)
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed at this request; its log says more")


async def answer_error(request: Request, error: Exception) -> Response:
    """The one exception handler: `error` with its status and headers, as a problem document.

    Calls of other services' protocols have the body `{"error": text}`, which their clients read.
    """
    problem = problem_of(error)
    if isinstance(error, (ServiceError, ImageError)):
        REJECTED.labels(type(error).__name__).inc()
    headers = dict(getattr(error, "headers", None) or {})
    if problem.status == HTTPStatus.NOT_FOUND and isinstance(error, HTTPException):
        problem = problem.model_copy(update={"detail": "there is no such call; /docs lists those there are"})
    elif problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"this call does not take {request.method}, but {headers.get('Allow', 'another method')}"
        problem = problem.model_copy(update={"detail": detail})
    if _OTHERS_PATHS.match(request.scope["path"]):
        return Response(to_json({"error": problem.detail}), problem.status, headers, "application/json")
    return Response(problem.model_dump_json(), problem.status, headers, PROBLEM_TYPE)


def install_error_handler(app: FastAPI) -> None:
    """Let `answer_error` answer for every error of `app`."""
    for kind in (ServiceError, ImageError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_error)


def _problem(status: HTTPStatus, detail: str) -> Problem:
    return Problem(title=status.phrase, status=status, detail=detail)
