"""One client's connection: answers leave in one piece, and nobody keeps it for nothing. Knows no call but health.

uvicorn waits without end for a head that does not come, for a body, and for an answer to be read.
"""

import socket
from asyncio import BaseTransport, TimerHandle
from http import HTTPStatus
from typing import Any

from service.server.connection_limit import ConnectionLimit
from service.server.refusal import RequestRefused
from service.server.request_limits import BoundedRequests
from service.settings import seconds_for

# How often a connection is looked at, as a share of what is allowed: it closes by an eighth too late at most.
_LOOKS = 8
# Whoever sent too slowly has this part of what was allowed to read so.
_LATE_SHARE = 1 / 4
# What the system holds of answers that are not read yet; left alone it holds 4 MB for each connection.
_SEND_BUFFER_BYTES = 1 << 18
# How long after a client's last byte, and again after that, it is asked whether it still reads.
_ASKED_AFTER_S = 0.25
# What is answered when all else is not, so that nobody takes a busy service for a dead one.
_ALWAYS_ANSWERED = (b"/health/", b"/v2/health/", b"/metrics")


class Connection(BoundedRequests):
    """uvicorn's protocol, with `receive_timeout_s` for each request to come and each answer to be read.

    It is one of those that `limit` counts.

    Whoever sends or reads many bytes has longer: see `seconds_for`. Of a body that takes too long whoever reads it is
    given an empty piece, which ASGI allows, so that it can refuse the rest (`service.http.bodies` does); all other slow
    clients lose their connection.
    """

    def __init__(
        self,
        *given: Any,
        receive_timeout_s: float,
        limit: ConnectionLimit,
        root_path: str = "",
        health_route: str | None = None,
        **named: Any,
    ) -> None:
        """`root_path` may stand before any path; `health_route` is one that asks for health. The rest is uvicorn's."""
        super().__init__(*given, **named)
        self._before_paths = root_path.encode()
        self._health_route = health_route.encode() if health_route else None
        self._limit = limit
        self._has_room = True
        self._timeout_s = receive_timeout_s
        self._unread_since: float | None = None
        self._most_unread = 0
        self._looks_for_reader: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin a connection."""
        super().connection_made(transport)
        own_socket = transport.get_extra_info("socket")
        own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._look_again()
        self._has_room = self._limit.opened(self)

    def most_linger_s(self) -> float:
        """Less where the request itself came too slowly, whoever found that out."""
        late = self._request_is_late(self.loop.time())
        return self._timeout_s * _LATE_SHARE if late else super().most_linger_s()

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
        self._timer.cancel()
        if self._looks_for_reader:
            self._looks_for_reader.cancel()
        self._limit.closed(self)
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """End a request's head."""
        if not self._has_room:
            self._ensure_asks_for_health()
        super().on_headers_complete()
        self._limit.busy(self)
        if not self._has_room:
            self._keep_alive = False

    def on_response_complete(self) -> None:
        """End an answer."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._limit.idle(self)

    def close_idle(self) -> None:
        """Make room for another connection."""
        if self.transport.lingers:
            self.transport.abort()
        else:
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio takes either
        """Take the end of what the client sends. It may have left altogether, which is found out where it matters."""
        if not super().eof_received() or self.scheme == "https":  # TLS ends both directions at once
            return False
        self._looks_for_reader = self.loop.call_later(_ASKED_AFTER_S, self._ask_for_reader)
        return True

    def _answer_refused(self, refused: RequestRefused, *, count: bool = True) -> None:
        super()._answer_refused(refused, count=count)
        self._limit.idle(self)

    def _ensure_asks_for_health(self) -> None:
        path = self.url.removeprefix(self._before_paths)
        if not path.startswith(_ALWAYS_ANSWERED) and path != self._health_route:
            self.stop_parsing(
                RequestRefused(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "too_many_connections",
                    f"{self._limit.most} connections are open and busy, as many as may; send the request again later",
                    retry_after_s=1,
                )
            )

    def _look_again(self) -> None:
        self._timer = self.loop.call_later(self._timeout_s / _LOOKS, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        if self._answer_is_unread(now):
            self.transport.abort()
        elif not self.transport.lingers and self._request_is_late(now):
            # What an earlier request on this connection is to be answered comes first.
            if self.owes_nothing:
                self.transport.abort()
            elif self._in_body:
                self.cycle.message_event.set()
        self._look_again()

    def _ask_for_reader(self) -> None:
        """Send something that a client passes over; the system of one that has left sends an error back."""
        if self.cycle.response_started:
            return
        if self.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._looks_for_reader = self.loop.call_later(_ASKED_AFTER_S, self._look_for_reader)

    def _look_for_reader(self) -> None:
        own_socket = self.transport.get_extra_info("socket")
        if own_socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()

    def _request_is_late(self, now: float) -> bool:
        return (
            self._request_since is not None
            and not self.requests_wait  # we do not read, then
            and now > self._request_since + seconds_for(self._timeout_s, self._body_bytes)
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
