"""The OpenAPI document as it is served: what FastAPI makes of all calls, put so that programs can make clients of it.

Names decide what a client's code looks like: each call has the short name of its function, and each shape that is more
than a list has one too. Knows no call.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.routing import BaseRoute, Route

from service.http.middleware import is_open
from service.http.problems import Problem

_KEY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key of this service"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key of this service"},
}
_OF_KEYS = ("401", "429")
_FASTAPIS_ERRORS = ("HTTPValidationError", "ValidationError")

# Where a schema holds others, beside its properties.
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")

Schema = dict[str, Any]


def install_documentation(app: FastAPI, more: Sequence[BaseRoute] = (), *, keys_needed: bool) -> None:
    """Let `app` describe its calls, and those of `more`, which FastAPI does not route, as they are.

    Errors are told as they are sent: as problem documents, and not as FastAPI's own. With `keys_needed` the calls that
    are not open to all need an API key; without, they take one. The pages take nothing from another host.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, more, keys_needed=keys_needed)
        return app.openapi_schema

    async def document(request: Request) -> JSONResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        return JSONResponse({**openapi(), "servers": [{"url": root or "/"}]})

    app.openapi = openapi  # type: ignore[method-assign]
    # FastAPI's own names the root beside the path that a proxy put before it, where nothing answers.
    routes = app.router.routes
    routes[:] = [route for route in routes if getattr(route, "path", None) != app.openapi_url]
    routes.append(Route(app.openapi_url or "", document, include_in_schema=False))
    app.get("/redoc", include_in_schema=False)(_redoc)


def _document(app: FastAPI, more: Sequence[BaseRoute], *, keys_needed: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        license_info=app.license_info,
        routes=[*app.routes, *more],
        tags=app.openapi_tags,
    )
    components = document["components"]
    components["securitySchemes"] = _KEY_SCHEMES
    schemas: dict[str, Schema] = components["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for name in _FASTAPIS_ERRORS:
        schemas.pop(name, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _drop_validation_error(operation["responses"])
            for parameter in operation.get("parameters", ()):
                _simplify(parameter, schemas)
            _name_bodies(operation, schemas)
            _tell_keys(path, operation, keys_needed=keys_needed)
            for schema in _schemas_of(operation):
                _make_plain(schema)
    for schema in schemas.values():
        _make_plain(schema)
    components["schemas"] = dict(sorted(schemas.items()))
    return document


def _tell_keys(path: str, operation: dict[str, Any], *, keys_needed: bool) -> None:
    """Which key `operation` needs, and what is answered without it."""
    if not is_open(path):
        optional: list[dict[str, list[str]]] = [] if keys_needed else [{}]
    elif any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
        optional = [{}]  # one is needed with a query only
    else:
        operation["security"] = []
        for status in _OF_KEYS:
            operation["responses"].pop(status, None)
        return
    operation["security"] = [*optional, *({name: []} for name in _KEY_SCHEMES)]


def _name_bodies(operation: dict[str, Any], schemas: dict[str, Schema]) -> None:
    """Move the bodies that have a title, and what they are made of, to where all named schemas are."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        if "title" in schema and "$ref" not in schema:
            named = dict(schema)
            schemas |= named.pop("$defs", {})
            schemas[named["title"]] = named
            content["schema"] = {"$ref": f"#/components/schemas/{named['title']}"}
        _drop_defaults(content["schema"], schemas)


def _drop_defaults(schema: Schema, schemas: dict[str, Schema]) -> None:
    """Of what is sent: generators take properties that have a default for ones that are there."""
    if "$ref" in schema:
        schema = schemas[_name_in(schema)]
    for part in schema.get("properties", {}).values():
        part.pop("default", None)
    for part in _parts_of(schema):
        _drop_defaults(part, schemas)


def _schemas_of(operation: dict[str, Any]) -> Iterator[Schema]:
    for parameter in operation.get("parameters", ()):
        yield parameter["schema"]
    for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
        for content in holder.get("content", {}).values():
            yield content["schema"]


def _make_plain(schema: Schema) -> None:
    """Leave out what generators trip over: titles, which they take for names, and places of a list as types."""
    schema.pop("title", None)
    if places := schema.pop("prefixItems", None):
        kinds = [kind for at, kind in enumerate(places) if kind not in places[:at]]
        schema["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    for part in _parts_of(schema):
        _make_plain(part)


def _parts_of(schema: Schema) -> Iterator[Schema]:
    for name in _LISTS:
        yield from schema.get(name, ())
    yield from schema.get("properties", {}).values()
    for name in _SINGLE:
        if isinstance(schema.get(name), dict):
            yield schema[name]


def _name_in(reference: Schema) -> str:
    name: str = reference["$ref"].rpartition("/")[2]
    return name


def _simplify(parameter: dict[str, Any], schemas: dict[str, Schema]) -> None:
    """A parameter can be left out, but nothing in an address is null; and beside a reference nothing may stand.

    Generators overlook either what stands beside it, or the reference. So the default goes to the named schema.
    """
    schema = parameter["schema"]
    kinds = schema.get("anyOf", [])
    if {"type": "null"} in kinds:
        kinds.remove({"type": "null"})
        (kind,) = schema.pop("anyOf")
        schema.update(kind)
    if "$ref" in schema:
        parameter["schema"] = {"$ref": schema["$ref"]}
        if "default" in schema:
            schemas[_name_in(schema)]["default"] = schema["default"]


def _drop_validation_error(responses: dict[str, Any]) -> None:
    """Remove the answer that FastAPI adds on its own to calls with parameters: ours is 400, as a problem."""
    if "HTTPValidationError" in str(responses.get("422", {})):
        del responses["422"]


async def _redoc(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "")
    page = get_redoc_html(
        openapi_url=f"{root}{request.app.openapi_url}",
        title=f"{request.app.title} - ReDoc",
        redoc_js_url=f"{root}/static-offline-docs/redoc.standalone.js",
        redoc_favicon_url=f"{root}/static-offline-docs/favicon.png",
        with_google_fonts=False,
    )
    # ReDoc asks its maker's host for a logo.
    page.headers["Content-Security-Policy"] = "img-src 'self' data:"
    return page
