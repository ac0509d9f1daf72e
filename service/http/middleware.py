"""What every request passes on its way in and out: its id, its key, its time, and headers for careful browsers."""

import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import cache

from fastapi import Request, Response
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ServiceError
from service.http.auth import ApiKeys
from service.http.paths import path_within
from service.logs import LOGGER, REQUEST_ID
from service.metrics import REQUEST_SECONDS, REQUESTS

log = logging.getLogger(LOGGER)

Respond = Callable[[Request, Exception], Awaitable[Response]]

_ID = re.compile(rb"[\w.:/+=-]{1,128}")
_BEARER = b"bearer "
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

    def __init__(self, app: ASGIApp, keys: ApiKeys | None, respond: Respond, *, access_log: bool) -> None:
        """With `keys`, requests without one of them are refused before their body is read; `respond` tells them so."""
        self.app = app
        self._keys = keys
        self._respond = respond
        self._access_log = access_log
        # An id is this process's own prefix and a number: unique, and made in no time.
        self._prefix, self._numbers = secrets.token_hex(8).encode(), itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        if scope["method"] == "HEAD":
            # Answered as GET is; the server leaves the body away.
            scope = {**scope, "method": "GET"}
        given = _header(scope["headers"], b"x-request-id")
        request_id = given if given and _ID.fullmatch(given) else b"%s%016x" % (self._prefix, next(self._numbers))
        REQUEST_ID.set(request_id.decode())
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
            if self._keys and not is_open(path_within(scope), scope["query_string"]):
                self._keys.admit(_key(scope["headers"]))
        except ServiceError as error:
            response = await self._respond(Request(scope), error)
            await response(scope, receive, send_on)
        else:
            await self.app(scope, receive, send_on)
        finally:
            seconds = time.perf_counter() - started
            route = _route(scope)
            count, time_taken = _counters(route, status)
            count.inc()
            time_taken.observe(seconds)
            if self._access_log:
                log.info(
                    "%s %s %d in %.1f ms",
                    scope["method"],
                    scope["path"],
                    status,
                    seconds * 1000,
                    extra={"route": route, "status": status, "seconds": round(seconds, 6)},
                )


def is_open(path: str, query: bytes = b"") -> bool:
    """Whether what is asked needs no key, since it tells nothing of the models: health does where one is named."""
    return bool(_OPEN.fullmatch(path)) and not (query and path.startswith(_HEALTH))


@cache
def _counters(route: str, status: int) -> tuple[Counter, Histogram]:
    """Both have few values; to look a metric up by its labels takes longer than to count."""
    return REQUESTS.labels(route, status), REQUEST_SECONDS.labels(route)


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


def _key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    value = _header(headers, b"x-api-key")
    authorization = _header(headers, b"authorization") or b""
    if value is None and authorization.lower().startswith(_BEARER):
        value = authorization[len(_BEARER) :].strip()
    with suppress(UnicodeDecodeError):
        return value.decode() if value else None
    return None


def _route(scope: Scope) -> str:
    """The path as it was declared, so that a metric has few values; one name for all that nobody declared."""
    route = scope.get("route")
    path: str = getattr(route, "path", None) or "other"
    return path
