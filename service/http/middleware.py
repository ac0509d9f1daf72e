"""What every request passes on its way in and out: its id, its key, its time, and headers for careful browsers."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ServiceError
from service.http.auth import ApiKeys, key_in
from service.http.paths import path_within
from service.http.request_ids import RequestIds
from service.logs import REFUSAL, REQUEST_ID, log_answer
from service.metrics import count_request

Respond = Callable[[Request, Exception], Awaitable[Response]]

# What answers without a key: health, and the pages, which hold nothing and ask for the key themselves.
_OPEN = re.compile(r"/(health/.*|v2/health/.*|web/.*|docs|redoc|static-offline-docs/.*|openapi\.json)?")
_HEALTH = "/health/"

_CAREFUL = (b"x-content-type-options", b"nosniff")
_POLICY_HEADER = b"content-security-policy"
# For pages that have none of their own: the API documentation needs scripts in its pages, and nothing another host.
_POLICY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_CAREFUL_PAGE = [(b"x-frame-options", b"DENY"), (b"referrer-policy", b"no-referrer")]


class RequestMiddleware:
    """An application around another one: nothing comes in or goes out but through here."""

    def __init__(
        self,
        app: ASGIApp,
        keys: ApiKeys | None,
        respond: Respond,
        *,
        access_log: bool,
        health_route: str | None = None,
    ) -> None:
        """With `keys`, requests without one of them are refused before their body is read; `respond` tells them so.

        A GET of `health_route` needs none, as that of the service's own health does not.
        """
        self.app = app
        self._keys = keys
        self._health_route = health_route
        self._respond = respond
        self._access_log = access_log
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        if scope["method"] == "HEAD":
            # Answered as GET is; the server leaves the body away.
            scope = {**scope, "method": "GET"}
        request_id = self._ids.of(_header(scope["headers"], b"x-request-id"))
        REQUEST_ID.set(request_id.decode())
        REFUSAL.set(None)
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", request_id), _CAREFUL]
                if (_header(headers, b"content-type") or b"").startswith(b"text/html"):
                    headers += _CAREFUL_PAGE
                    if _header(headers, _POLICY_HEADER) is None:
                        headers.append((_POLICY_HEADER, _POLICY))
                message["headers"] = headers
            await send(message)

        try:
            if self._keys and not self._is_open(scope):
                headers = scope["headers"]
                self._keys.admit(key_in(_header(headers, b"x-api-key"), _header(headers, b"authorization")))
        except ServiceError as error:
            response = await self._respond(Request(scope), error)
            await response(scope, receive, send_on)
        else:
            await self.app(scope, receive, send_on)
        finally:
            seconds = time.perf_counter() - started
            route = _route(scope)
            count_request(route, status, seconds)
            refusal = REFUSAL.get()
            if refusal or self._access_log:
                log_answer(
                    f"{scope['method']} {scope['path']} {status}",
                    refusal,
                    access_log=self._access_log,
                    extra={"route": route, "status": status, "seconds": round(seconds, 6)},
                    in_ms=seconds * 1000,
                )

    def _is_open(self, scope: Scope) -> bool:
        path = path_within(scope)
        # What is open is only ever asked for. A platform's predictions may be below one of these paths.
        return scope["method"] == "GET" and (is_open(path, scope["query_string"]) or path == self._health_route)


def is_open(path: str, query: bytes = b"") -> bool:
    """Whether what is asked needs no key, since it tells nothing of the models: health does where one is named."""
    return bool(_OPEN.fullmatch(path)) and not (query and path.startswith(_HEALTH))


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


def _route(scope: Scope) -> str:
    """The path as it was declared, so that a metric has few values; one name for all that nobody declared."""
    route = scope.get("route")
    path: str = getattr(route, "path", None) or "other"
    return path
