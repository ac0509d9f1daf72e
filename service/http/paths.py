"""The path of a request within the service, whatever stands before and behind it. Knows no call.

Before it: the prefix under which a proxy shows the service, which it may take away or leave. Behind it: slashes.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address, ip_network

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_FORWARDED_PREFIX = b"x-forwarded-prefix"
# No `//`, with which a link could lead to another host.
_PREFIX = re.compile(rb"(/[\w.~-]+)+/?")


class Paths:
    """An application around another one, which is given paths as ASGI has them: a root path, and one of its own.

    `POST /predict/` is `POST /predict`: to be sent elsewhere would cost a client its body.
    """

    def __init__(self, app: ASGIApp, root_path: str, proxies: Sequence[str]) -> None:
        """`root_path` is the prefix, or empty; `proxies`, addresses and networks or `*`, may name another one."""
        self.app = app
        self._root_path = root_path
        self._any_proxy = "*" in proxies
        self._proxies = [ip_network(proxy) for proxy in proxies if proxy != "*"]
        self._is_proxy = lru_cache(1024)(self._find_proxy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http":
            root: str = self._forwarded(scope) or self._root_path
            path: str = scope["path"]
            if root:
                if path == root and scope["method"] in {"GET", "HEAD"}:
                    # What the page names is beside it, and so in its folder.
                    query = scope["query_string"].decode("ascii", "replace")
                    here = f"{root}/?{query}" if query else f"{root}/"
                    await RedirectResponse(here, HTTPStatus.PERMANENT_REDIRECT)(scope, receive, send)
                    return
                scope["root_path"] = root
                if not path.startswith(f"{root}/"):
                    path = root + path
            if path.endswith("/"):
                path = path.rstrip("/")
                if path == root:
                    path += "/"
            scope["path"] = path
        await self.app(scope, receive, send)

    def _forwarded(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == _FORWARDED_PREFIX:
                client = scope["client"]
                # Without an address it came over a Unix socket, which is for a proxy on this machine.
                if _PREFIX.fullmatch(value) and (self._is_proxy(client[0]) if client else bool(self._proxies)):
                    return str(value.rstrip(b"/").decode())
                break
        return ""

    def _find_proxy(self, address: str) -> bool:
        if self._any_proxy:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


def path_within(scope: Scope) -> str:
    """The path of a request without the prefix."""
    path: str = scope["path"]
    root_path = scope.get("root_path")
    return path[len(root_path) :] if root_path else path
