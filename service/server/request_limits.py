"""A request's head and framing: bounded before they are parsed, and of one meaning only. Knows no call.

The parser keeps each line of a head until its end and joins it anew with every piece that comes, so that a head without
a bound takes all memory, and time by its square.
"""

import math
import re
import selectors
from asyncio import BaseTransport, Transport
from http import HTTPStatus
from typing import Any, NoReturn, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.server.lingering_close import LingeringClose
from service.server.refusal import RequestRefused, new_request_id

# Of a head; and of what frames a body again, less what its chunks need: their sizes, extensions and trailers.
MOST_HEAD_BYTES = 32_768
MOST_URL_BYTES = 8192
MOST_HEADERS = 100

# So much is parsed at once: of the shortest requests 160, which may all have to wait for the first one's answer.
_PIECE_BYTES = 4096
# What a chunk of one byte has around it is 5 bytes; programs that pad the size have a few more.
_FRAMING_FOR_EACH_BYTE = 8

# RFC 9112, section 3.2: a name, an address or [an address], and a port; or nothing.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:[0-9]*)?")


class BoundedRequests(HttpToolsProtocol):
    """uvicorn's protocol, which refuses a request that is too long or could be read in two ways.

    Of requests that a client sends without waiting for answers (pipelining) a few are parsed, and the others wait in
    the system's buffers. A refusal comes after the answers to the requests before it.
    """

    transport: LingeringClose  # type: ignore[assignment] # uvicorn needs no more of one than that has

    def __init__(self, *given: Any, access_log: bool = False, **named: Any) -> None:
        """What else is given is uvicorn's."""
        super().__init__(*given, **named)
        self.url = b""
        self._access_log = access_log
        self._host = b""  # of the request before, most often of all on a connection
        self._unparsed = b""
        self._framing_bytes = 0  # since the request, or its body, began; what a body's chunks need is taken off
        self._request_since: float | None = None  # None while nothing of a request is missing
        self._in_body = False
        self._sends_nothing_more = False
        self._keep_alive = True
        self._is_stopping = False
        self._body_bytes = 0  # those that came before the request was answered
        self._stopped_by: RequestRefused | None = None
        self._refused: RequestRefused | None = None

    @property
    def still_sends(self) -> bool:
        """Whether something comes of the client that will not be read."""
        return (self._in_body or self._refused is not None) and not self._sends_nothing_more

    @property
    def requests_wait(self) -> bool:
        """Whether the client sent more than is answered now, so that nothing else is read."""
        return bool(self.pipeline or self._unparsed)

    @property
    def owes_nothing(self) -> bool:
        """Whether no answer is being made, or sent."""
        return self.cycle is None or self.cycle.response_complete

    def most_linger_s(self) -> float:
        """How long a client that still sends has to read its answer, if that is less than anybody has."""
        return math.inf

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin a connection."""
        lingering = LingeringClose(
            cast("Transport", transport), self.loop, lambda: self.still_sends, self.most_linger_s
        )
        super().connection_made(cast("Any", lingering))
        self.flow = _NoReadingAhead(self)
        self._request_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self.transport.lingers:
            self.transport.discard(len(data))
        elif self._refused is None:
            self._parse(self._unparsed + data if self._unparsed else data)

    def on_message_begin(self) -> None:
        """Begin a request's head. Empty lines before it are none, and make no connection last longer."""
        self._unset_keepalive_if_required()
        self._request_since = self.loop.time()
        self._body_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the head."""
        if self.parser.should_upgrade():
            return  # it is parsed once more, without that wish
        if len(self.url) > MOST_URL_BYTES or len(self.headers) > MOST_HEADERS:
            self.stop_parsing(self._too_large())
        if unclear := self._unclear():
            self.stop_parsing(_malformed(unclear))
        self._framing_bytes = 0
        super().on_headers_complete()
        self._in_body = True
        # Until all of it is here: an answer that comes before ends the connection, and says so.
        self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive and not self._is_stopping, False
        self.headers = []  # for trailers, which mean nothing to any call and must not join the headers it reads

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        size = len(body)
        self._framing_bytes -= (1 + _FRAMING_FOR_EACH_BYTE) * size
        if not self.cycle.response_complete:
            self._body_bytes += size
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        if not self._in_body:
            return  # it is parsed once more
        self._request_since = None
        self._in_body = False
        self._framing_bytes = 0
        self.cycle.keep_alive = self._keep_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer, and begin the next request that waits for it."""
        was_last = not self.pipeline
        super().on_response_complete()
        if (self._refused or self.flow.read_paused) and not self.transport.is_closing():
            self._go_on(was_last=was_last)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio takes either
        """Take the end of what the client sends; whether an answer is still to be sent."""
        if self.transport.is_closing():
            return False
        self._sends_nothing_more = True
        if self._in_body or self._framing_bytes > 0:
            self._refuse(_malformed("it ends before its head or body does"))
        if self.owes_nothing:
            return False
        self._keep_alive = self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """Answer what came, and nothing else. What lies in the system's buffers, or is half of a head, came, too."""
        self._keep_alive, self._is_stopping = False, True
        if self.owes_nothing and (self._framing_bytes > 0 or self._has_unread()):
            return
        super().shutdown()

    def _has_unread(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self.transport.get_extra_info("socket"), selectors.EVENT_READ)
            return bool(selector.select(0))

    def stop_parsing(self, refused: RequestRefused) -> NoReturn:
        """Refuse the request whose head is being parsed: to be called by what the parser calls."""
        self._stopped_by = refused  # the parser tells that it was stopped, and not always by what
        raise refused

    def _go_on(self, *, was_last: bool) -> None:
        if self._refused is None:
            self._parse(self._unparsed)
            self.flow.resume_reading()
        elif was_last:
            self._answer_refused(self._refused)

    def _parse(self, data: bytes) -> None:
        self._unparsed = b""
        start = 0
        while start < len(data):
            if self.pipeline:
                self._unparsed = data[start:]
                self.flow.pause_reading()
                return
            piece = data[start : start + min(_PIECE_BYTES, MOST_HEAD_BYTES - self._framing_bytes)]
            if not piece:
                self._refuse(self._too_large())
                return
            size = len(piece)
            start += size
            self._framing_bytes += size
            try:
                self.parser.feed_data(piece)
            except HttpParserUpgrade as upgrade:
                if self.parser.get_method() == b"CONNECT":
                    self._refuse(_malformed("this is no proxy, to which CONNECT is sent"))
                    return
                start += upgrade.args[0] - size
                data, start = self._head_without_upgrade() + data[start:], 0
                self._framing_bytes = 0
            except HttpParserCallbackError:
                self._refuse(self._stopped_by or _malformed("its target cannot be read"))
                return
            except HttpParserError as error:
                self._refuse(_malformed(str(error)))
                return
            # A long body saves up for no more than this: behind it there are not many trailers either.
            self._framing_bytes = max(self._framing_bytes, -MOST_HEAD_BYTES)

    def _head_without_upgrade(self) -> bytes:
        # A server may leave that wish alone (RFC 9110, section 7.8). The parser does not: it takes the body for another
        # protocol's. Java's client has the wish in each request, for HTTP/2.
        first = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = (b"%s: %s" % header for header in self.headers if header[0] != b"upgrade")
        return b"\r\n".join([first, *lines, b"", b""])

    def _too_large(self) -> RequestRefused:
        if not self._in_body and len(self.url) > MOST_URL_BYTES:
            return RequestRefused(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                "url_too_long",
                f"the URL has more than the {MOST_URL_BYTES:,} bytes that are read; send what is long as a body",
            )
        what = "sizes, extensions and trailers of the body's chunks" if self._in_body else "head"
        return RequestRefused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            f"the request's {what} have more than the {MOST_HEAD_BYTES:,} bytes or {MOST_HEADERS} headers that are "
            "read; send fewer and shorter ones",
        )

    def _unclear(self) -> str | None:
        """Where another program could see another host, or another end of the body."""
        hosts = []
        for name, value in self.headers:
            if name == b"host":
                hosts.append(value)
            elif name == b"transfer-encoding" and (
                value.lower() != b"chunked" or self.parser.get_http_version() == "1.0"
            ):
                return "no transfer encoding but chunked is read, in HTTP/1.1"
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            return f"it has {len(hosts)} Host headers, and needs one"
        if hosts and hosts[0] != self._host:
            if not _HOST.fullmatch(hosts[0]):
                return "its Host is neither a name nor an address, with or without a port"
            self._host = hosts[0]
        return None

    def _refuse(self, refused: RequestRefused) -> None:
        self._refused = refused
        refused.__traceback__ = None  # it holds this connection
        cycle = self.cycle
        if not self._in_body:
            if self.owes_nothing:
                self._answer_refused(refused)
        elif self.pipeline:
            self.pipeline.popleft()  # this one, the last that came
        else:
            started = cycle.response_started
            # As when the client leaves: nothing that the application still says is sent.
            cycle.disconnected = cycle.response_complete = True
            cycle.message_event.set()
            if started:
                self.transport.close()
            else:
                self._answer_refused(refused, count=False)  # the application has begun, and counts it

    def _answer_refused(self, refused: RequestRefused, *, count: bool = True) -> None:
        self._unset_keepalive_if_required()
        request_id = new_request_id()
        self.transport.write(refused.response(self.server_state.default_headers, request_id))
        self.transport.close()
        if count:
            refused.count(request_id, access_log=self._access_log)


class _NoReadingAhead(FlowControl):
    """uvicorn's, which would read on after each answer, however many requests wait, and keep all of them."""

    def __init__(self, requests: BoundedRequests) -> None:
        super().__init__(cast("Any", requests.transport))
        self._requests = requests

    def resume_reading(self) -> None:
        if self.read_paused and not self._requests.requests_wait:
            super().resume_reading()


def _malformed(reason: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST,
        "malformed_request",
        f"the request is not HTTP/1.1 as it is read here: {reason}; send it as RFC 9112 has it",
    )
