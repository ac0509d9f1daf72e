"""Errors as other servers have them, `{"error": "..."}`, in place of problem documents. Knows no protocol."""

import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.routing import Match

from models.picture import PictureError
from service.errors import ServiceError, problem_of
from service.logs import LOGGER

_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]

log = logging.getLogger(LOGGER)


class PlainErrorRoute(APIRoute):
    """A route whose errors, whatever they are, have the status and headers of our own, and the body `{"error": s}`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual handler, with errors answered here; clients of these protocols cannot read a problem document."""
        usual = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await usual(request)
            except (ServiceError, PictureError, RequestValidationError, HTTPException) as error:
                return _answer(error)
            except Exception as error:
                log.exception("a request for %s failed", request.url.path)
                return _answer(error)

        return handler


def refuse_other_calls(router: APIRouter) -> None:
    """Let `router`, which has all its routes, answer for every other path and method under its prefix: 404 or 405."""
    calls = [route for route in router.routes if isinstance(route, APIRoute)]

    @router.api_route("", methods=_METHODS)
    @router.api_route("/{path:path}", methods=_METHODS)
    async def refuse(request: Request) -> None:
        near = [call for call in calls if call.matches(request.scope)[0] is Match.PARTIAL]
        if near:
            allowed = ", ".join(sorted({method for call in near for method in call.methods or ()}))
            raise HTTPException(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"this call does not take {request.method}, but {allowed}",
                {"Allow": allowed},
            )
        raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no such call under {router.prefix}; the README lists them")


def _answer(error: Exception) -> Response:
    problem = problem_of(error)
    headers = dict(getattr(error, "headers", None) or {})
    return JSONResponse({"error": problem.detail}, problem.status, headers)
