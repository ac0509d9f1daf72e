"""What a request may say before and around its body, and how one is refused that no application sees. Knows no call."""

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

MOST_HEAD_BYTES = 32_768
MOST_TARGET_BYTES = 8_192
MOST_HEADERS = 100

# RFC 9110, section 7.2, with RFC 3986: a host, perhaps a port; it may be empty.
_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*", re.ASCII)


class Refusal(NamedTuple):
    """How a request is refused that no application sees: a status, a code for the metrics, and a text."""

    status: HTTPStatus
    code: str
    detail: str


TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"the request's head, its trailers or what frames its chunks is larger than the {MOST_HEAD_BYTES:,} bytes and "
    f"{MOST_HEADERS} headers that are read; send fewer or shorter ones",
)
TARGET_TOO_LONG = Refusal(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "uri_too_long",
    f"the request's address is longer than the {MOST_TARGET_BYTES:,} bytes that are read; send what is long in a body",
)
NO_HTTP = Refusal(HTTPStatus.BAD_REQUEST, "malformed_request", "what arrived is no HTTP/1.1 request; send one")
_WRONG_HOST = Refusal(
    HTTPStatus.BAD_REQUEST, "malformed_request", "the request has no Host header, several, or no valid one; send one"
)


def refusal_of(target: bytes, headers: Sequence[tuple[bytes, bytes]], *, host_needed: bool) -> Refusal | None:
    """Why a head is refused that is no larger than it may be, if it is. HTTP/1.1 needs a Host, HTTP/1.0 does not."""
    if len(target) > MOST_TARGET_BYTES:
        return TARGET_TOO_LONG
    if len(headers) > MOST_HEADERS:
        return TOO_LARGE
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return _WRONG_HOST if hosts or host_needed else None
    return None if _HOST.fullmatch(hosts[0]) else _WRONG_HOST


def size_of(target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> int:
    """How many bytes a head has, without what stands between its parts."""
    return len(target) + sum(len(name) + len(value) for name, value in headers)


def as_answer(refusal: Refusal) -> bytes:
    """The whole answer, head and body, after which the connection is closed."""
    status = refusal.status
    problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": refusal.detail}
    body = json.dumps(problem).encode()
    retry = b"retry-after: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else b""
    return (
        STATUS_LINE[status]
        + b"content-type: application/problem+json\r\ncontent-length: %d\r\n" % len(body)
        + retry
        + b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        + body
    )
