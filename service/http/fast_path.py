"""Straight from the server to an endpoint, for the requests that come by the thousand. Knows no endpoint itself."""

from collections.abc import Iterable

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from models.image_errors import ImageError
from service.errors import ServiceError
from service.http.paths import path_within
from service.http.problems import respond_to_error


class FastPath:
    """An application that calls some endpoints itself and leaves everything else to FastAPI.

    It takes POSTs that have no query, so that the endpoints' defaults hold. FastAPI's own way, through its middleware,
    router and reading of parameters, takes four times as long before an endpoint is called. Answers and errors are the
    same by both. It steps aside where OpenTelemetry watches FastAPI.
    """

    def __init__(self, app: FastAPI, routes: Iterable[BaseRoute]) -> None:
        """Of `routes`, which `app` has, those that are calls; each is a POST at a path without parameters."""
        self.app = app
        # OpenTelemetry's instrumentation stands in FastAPI's middleware, and tells so by this flag: with it every
        # request goes there, so that each has its span.
        watched = getattr(app, "_is_instrumented_by_opentelemetry", False)
        calls = () if watched else (route for route in routes if isinstance(route, APIRoute))
        self._routes = {route.path: route for route in calls}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI). The route is left in the scope, as Starlette does, for those who count by it."""
        if scope["type"] != "http" or scope["query_string"] or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        route = self._routes.get(path_within(scope))
        if route is None:
            return await self.app(scope, receive, send)
        scope["app"] = self.app
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            response: Response = await route.endpoint(request)
        except (ServiceError, ImageError) as error:
            response = await respond_to_error(request, error)
        except Exception as error:
            response = await respond_to_error(request, error)
            await response(scope, receive, send)
            raise  # for the server to log
        return await response(scope, receive, send)
