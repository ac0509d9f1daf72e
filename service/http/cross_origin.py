"""Pages of other hosts that may call (CORS), and what is told to those that may not. Knows no call."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.problems import PROBLEM_TYPE, Problem
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

_EXPOSED = ("X-Request-ID", "Model-Version", "Retry-After")


class CrossOrigin(CORSMiddleware):
    """Starlette's, whose refusal of a preflight request says by which option its page would be let in."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        """Pages of `origins` may call `app`; without any, only preflight requests are looked at."""
        super().__init__(
            app, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"], expose_headers=_EXPOSED
        )
        self._told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and (self.allow_origins or scope["method"] == "OPTIONS"):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks before it lets a page call."""
        response = super().preflight_response(request_headers)
        if response.status_code == HTTPStatus.OK:
            return response
        origin, method = request_headers["origin"], request_headers["access-control-request-method"]
        if not self._told and not self.is_allowed_origin(origin):
            self._told = True  # a browser shows its person no more than that it failed; whoever serves reads this
            log.warning(
                "a page of %.200r asked to call and was refused; if it is yours, name it with --cors-origins "
                "(told once, for the first such page)",
                origin,
            )
        problem = Problem(
            title=HTTPStatus.BAD_REQUEST.phrase,
            status=HTTPStatus.BAD_REQUEST,
            detail=f"a page of {origin!r:.200} may not send a {method!r:.50} request; pages send GET and POST, and "
            "their origins are given with --cors-origins when the service is started",
        )
        headers = {name: value for name, value in response.headers.items() if name.startswith("access-control-")}
        return Response(problem.model_dump_json(), problem.status, headers | {"Vary": "Origin"}, PROBLEM_TYPE)
