"""One client's connection: answers leave in one piece, and nobody keeps it for nothing. Knows no call.

uvicorn waits without end for a head that does not come, for a body, and for an answer to be read; and takes heads,
trailers and chunks of any size.
"""

import socket
from asyncio import BaseTransport, Transport
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.metrics import REJECTED
from service.server.connection_limit import ConnectionLimit
from service.server.heads import (
    MOST_HEAD_BYTES,
    MOST_TARGET_BYTES,
    NO_HTTP,
    TARGET_TOO_LONG,
    TOO_LARGE,
    Refusal,
    as_answer,
    refusal_of,
    size_of,
)
from service.server.write_coalescing import CoalescedWrites
from service.settings import seconds_for

# How often a connection is looked at, as a share of what is allowed: it closes by an eighth too late at most.
_LOOKS = 8
# What the system holds of answers that are not read yet; left alone it holds 4 MB for each connection.
_SEND_BUFFER_BYTES = 1 << 18
# What frames a chunk of one byte is five bytes.
MOST_FRAMING = 16
# After a refusal what still comes is thrown away for so long: a client that sends on would not read it otherwise.
LINGER_S = 1.0
# What is answered also where too many are connected.
_ALWAYS = (b"/health/", b"/v2/health/", b"/metrics")
_TOO_MANY = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "overloaded",
    "as many clients are connected as may be, and all of them wait for answers; send the request again later",
)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with `receive_timeout_s` for each request to come and each answer to be read.

    Whoever sends or reads many bytes has longer: see `seconds_for`. Of a body that takes too long whoever reads it is
    given an empty piece, which ASGI allows, so that it can refuse the rest (`service.http.bodies` does); all other slow
    clients lose their connection.
    """

    def __init__(self, *given: Any, receive_timeout_s: float, limit: ConnectionLimit, **named: Any) -> None:
        """`limit` is that of all connections together; what else is given is uvicorn's."""
        super().__init__(*given, **named)
        self._timeout_s = receive_timeout_s
        self._limit = limit
        self._request_since: float | None = None  # None while nothing of a request is missing
        self._request_bytes = 0
        self._in_head = True
        self._body_bytes = 0  # of the present request
        self._around_body = 0  # bytes of its head, or since then of what is not its body
        self._refusal: Refusal | None = None
        self._refused = False
        self._unread_since: float | None = None
        self._most_unread = 0

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin a connection."""
        super().connection_made(cast("Transport", CoalescedWrites(cast("Transport", transport), self.loop)))
        own_socket = transport.get_extra_info("socket")
        own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._request_since = self.loop.time()
        self._look_again()
        self._limit.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
        self._timer.cancel()
        self._limit.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, no more at a time than a head may have: the parser joins what it is given of one."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        for start in range(0, len(data), MOST_HEAD_BYTES):
            piece = data if len(data) <= MOST_HEAD_BYTES else data[start : start + MOST_HEAD_BYTES]
            # What ends a head or a request in the middle of the piece counts the rest of it as nothing.
            self._around_body += len(piece)
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade:
                pass  # answered as HTTP/1.1, which RFC 9110, section 7.8, allows
            except httptools.HttpParserError:
                self._refuse(self._refusal or NO_HTTP)
                return
            if self._around_body > MOST_HEAD_BYTES + MOST_FRAMING * max(0, self._body_bytes):
                long_target = self._in_head and len(self.url) > MOST_TARGET_BYTES
                self._refuse(TARGET_TOO_LONG if long_target else TOO_LARGE)
                return

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        super().on_message_begin()
        self._request_since = self.loop.time()
        self._request_bytes = self._body_bytes = 0

    def on_headers_complete(self) -> None:
        """End it."""
        self._refusal = self._refusal_of_head()
        if self._refusal is not None:
            raise httptools.HttpParserCallbackError
        self._in_head = False
        self._around_body = 0
        super().on_headers_complete()
        self.headers = []  # trailers go there, and nowhere else: RFC 9110, section 6.5.1
        self._limit.begin(self)

    def on_body(self, body: bytes) -> None:
        """Take a piece of its body."""
        self._body_bytes += len(body)
        self._around_body -= len(body)
        if not self.cycle.response_complete:
            self._request_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._request_since = None
        self._in_head = True
        self._around_body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End its answer."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self._limit.end(self)

    def let_go(self) -> None:
        """Close it, for another client."""
        self.transport.abort()

    def _refusal_of_head(self) -> Refusal | None:
        if self._limit.exceeded and not self.url.startswith(_ALWAYS):
            return _TOO_MANY
        # Counted by the piece in which it came, which may be larger.
        if self._around_body > MOST_HEAD_BYTES and size_of(self.url, self.headers) > MOST_HEAD_BYTES:
            return TOO_LARGE
        return refusal_of(self.url, self.headers, host_needed=self.parser.get_http_version() == "1.1")

    def _refuse(self, refusal: Refusal) -> None:
        """Answer so, and close the connection; after the answers to what came before on it."""
        self._refused = True
        REJECTED.labels(refusal.code).inc()
        if self._in_head and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(as_answer(refusal))
            self.transport.write_eof()
        if self.cycle is not None:
            # Whoever reads its body learns that there is nobody to be answered any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _look_again(self) -> None:
        self._timer = self.loop.call_later(self._timeout_s / _LOOKS, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        if self._answer_is_unread(now):
            self.transport.abort()
        elif self._request_is_late(now):
            # What an earlier request on this connection is to be answered comes first.
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()
            elif not self._in_head:
                self.cycle.message_event.set()
        self._look_again()

    def _request_is_late(self, now: float) -> bool:
        return (
            self._request_since is not None
            and not self.pipeline  # we do not read, then
            and now > self._request_since + seconds_for(self._timeout_s, self._request_bytes)
        )

    def _answer_is_unread(self, now: float) -> bool:
        unread = self.transport.get_write_buffer_size()
        if not unread:
            self._unread_since, self._most_unread = None, 0
            return False
        if self._unread_since is None:
            self._unread_since = now
        self._most_unread = max(self._most_unread, unread)
        return now > self._unread_since + seconds_for(self._timeout_s, self._most_unread - unread)
