"""Domain errors over gRPC: the code of each, and what goes with it. Knows no method."""

import math
from http import HTTPStatus

from grpc import StatusCode

from service.errors import NotFound, ServiceError
from service.http.problems import CLIENT_CLOSED_REQUEST, detail_of, status_of
from service.protocols.grpc.messages.rpc_status_pb2 import RetryInfo, Status

Metadata = tuple[tuple[str, str | bytes], ...]

# Of the status that the error has over HTTP.
_CODES = {
    HTTPStatus.BAD_REQUEST: StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: StatusCode.UNAUTHENTICATED,
    HTTPStatus.NOT_FOUND: StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNPROCESSABLE_ENTITY: StatusCode.INVALID_ARGUMENT,
    HTTPStatus.TOO_MANY_REQUESTS: StatusCode.RESOURCE_EXHAUSTED,
    CLIENT_CLOSED_REQUEST: StatusCode.CANCELLED,
    HTTPStatus.NOT_IMPLEMENTED: StatusCode.UNIMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE: StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.INSUFFICIENT_STORAGE: StatusCode.RESOURCE_EXHAUSTED,
}
# It travels in a header, of which a client takes a few kilobytes.
_MOST_CHARACTERS = 1000


class UnknownMethod(NotFound):
    """There is no such method here."""


def told(error: Exception) -> tuple[StatusCode, str, Metadata]:
    """The code of `error`, its text, which is the one that HTTP has, and the metadata that belongs to it.

    Where it is known after which time it is worth trying again, that is in it twice: as `google.rpc.RetryInfo`, for
    programs, and as `grpc-retry-pushback-ms`, for gRPC's own retries.
    """
    known = _CODES.get(status_of(error), StatusCode.INTERNAL)
    code = StatusCode.UNIMPLEMENTED if isinstance(error, UnknownMethod) else known
    text = detail_of(error)[:_MOST_CHARACTERS]
    seconds = error.retry_after_s if isinstance(error, ServiceError) else None
    if seconds is None:
        return code, text, ()
    status = Status(code=code.value[0], message=text)
    status.details.add().Pack(RetryInfo(retry_delay={"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}))
    return (
        code,
        text,
        (
            ("grpc-status-details-bin", status.SerializeToString()),
            ("grpc-retry-pushback-ms", str(math.ceil(seconds * 1000))),
        ),
    )
