"""Bounds what a request may say before and around its body: its head, trailers and chunks. Knows no call.

The bound counts bytes before they are parsed: the parser joins the pieces of a header as they come, which takes time by
the square of their size.
"""

import json
import re
from http import HTTPStatus
from typing import Any, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.metrics import REJECTED

MOST_HEAD_BYTES = 32_768
MOST_TARGET_BYTES = 8_192
MOST_HEADERS = 100
# What frames a chunk of one byte is five bytes.
MOST_FRAMING = 16
# After a refusal what still comes is thrown away for so long: a client that sends on would not read it otherwise.
LINGER_S = 1.0

# RFC 9110, section 7.2, with RFC 3986: a host, perhaps a port; it may be empty.
_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*", re.ASCII)


class Refusal(NamedTuple):
    """How a request is refused that no application sees: a status, a code for the metrics, and a text."""

    status: HTTPStatus
    code: str
    detail: str


_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"the request's head, its trailers or what frames its chunks is larger than the {MOST_HEAD_BYTES:,} bytes and "
    f"{MOST_HEADERS} headers that are read; send fewer or shorter ones",
)
_TARGET_TOO_LONG = Refusal(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "uri_too_long",
    f"the request's address is longer than the {MOST_TARGET_BYTES:,} bytes that are read; send what is long in a body",
)
_NO_HTTP = Refusal(HTTPStatus.BAD_REQUEST, "malformed_request", "what arrived is no HTTP/1.1 request; send one")
_WRONG_HOST = Refusal(
    HTTPStatus.BAD_REQUEST, "malformed_request", "the request has no Host header, several, or no valid one; send one"
)


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol, which takes heads of any size, and answers itself what is too large or no HTTP.

    Such a request is refused with a problem document, and its connection closed.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        """What is given is uvicorn's."""
        super().__init__(*given, **named)
        self.in_head = True
        self.body_bytes = 0  # of the present request
        self._around_body = 0
        self._refusal: Refusal | None = None
        self._refused = False

    def data_received(self, data: bytes) -> None:
        """Parse what came, some of it at a time."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        if len(data) <= MOST_HEAD_BYTES:
            self._parse(data)
            return
        for start in range(0, len(data), MOST_HEAD_BYTES):
            self._parse(data[start : start + MOST_HEAD_BYTES])
            if self._refused:
                return

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        super().on_message_begin()
        self.in_head = True
        self.body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are let go, as RFC 9110, section 6.5.1, has it."""
        if self.in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head."""
        self._refusal = self.refusal_of_head()
        if self._refusal:
            raise httptools.HttpParserCallbackError
        self.in_head = False
        self._around_body = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of its body."""
        self.body_bytes += len(body)
        self._around_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self.in_head = True
        self._around_body = 0
        super().on_message_complete()

    def refusal_of_head(self) -> Refusal | None:
        """Why the head that has come is refused, if it is."""
        if len(self.url) > MOST_TARGET_BYTES:
            return _TARGET_TOO_LONG
        size, hosts = len(self.url), []
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts.append(value)
        if size > MOST_HEAD_BYTES or len(self.headers) > MOST_HEADERS:
            return _TOO_LARGE
        needed = self.parser.get_http_version() == "1.1"
        if len(hosts) > 1 or (needed and not hosts) or (hosts and not _HOST.fullmatch(hosts[0])):
            return _WRONG_HOST
        return None

    def refuse(self, refusal: Refusal) -> None:
        """Answer so, and close the connection; after the answers to what came before on it."""
        self._refused = True
        REJECTED.labels(refusal.code).inc()
        if self.in_head and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_as_answer(refusal))
            self.transport.write_eof()
        if self.cycle is not None:
            # Whoever reads its body learns that there is nobody to be answered any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _parse(self, data: bytes) -> None:
        # What ends a head, a chunk or a request in the middle of `data` counts the rest of it as nothing.
        self._around_body += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered as HTTP/1.1, which RFC 9110, section 7.8, allows
        except httptools.HttpParserError:
            self.refuse(self._refusal or _NO_HTTP)
            return
        if self._around_body > MOST_HEAD_BYTES + MOST_FRAMING * self.body_bytes:
            self.refuse(_TARGET_TOO_LONG if self.in_head and len(self.url) > MOST_TARGET_BYTES else _TOO_LARGE)


def _as_answer(refusal: Refusal) -> bytes:
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
