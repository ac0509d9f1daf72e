"""TensorFlow Serving's REST API on the models that are served, for its clients.

Numbers go to the model as they are; images are prepared as `/predict` does it. What TensorFlow Serving has no
status for (a body that is too large, no image, another method) is 400 here: its clients know the others only.
"""

import re
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.routing import Match, Route
from starlette.types import Scope

from models.image_errors import ImageError
from service.context import context_of
from service.errors import ClientDisconnected, MalformedRequest, NotFound
from service.http.bodies import SMALL_ANSWER_VALUES, SMALL_BODY_BYTES, read_body, until_disconnected
from service.http.compression import unpack
from service.http.problems import count_rejection, detail_of, headers_of, status_of
from service.inference.model_runner import ImageScores, ModelRunner
from service.protocols.tfserving.models import STABLE, asked_for, metadata, model_named, status, version_number
from service.protocols.tfserving.rows import Rows, read_rows

PREFIX = "/v1/models"

_CALL = re.compile(
    r"/(?P<model>[^/:]+)(/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
    r"(:(?P<verb>predict|classify)|(?P<metadata>/metadata))?",
    re.IGNORECASE,
)
# TensorFlow Serving's clients know no other status of a request that is wrong.
_BAD_REQUESTS = {
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_KEYS = {"predict": ("instances", "inputs"), "classify": ("examples",)}


class _AnyCase(Route):
    """Matches without regard to case, and lets every method through, so that each mistake is told by one endpoint."""

    def __init__(self, path: str, endpoint: Any) -> None:
        super().__init__(path, endpoint, include_in_schema=False)
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)
        self.methods = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As Starlette does it; by this name the calls are counted."""
        match, more = super().matches(scope)
        return match, {**more, "route": self}


async def answer(request: Request) -> Response:
    """The answer to any call under /v1/models. Raises ServiceError."""
    repository = context_of(request).prediction.repository
    runner = repository.default.current
    call = _CALL.fullmatch(request.path_params["call"])
    if not call:
        raise NotFound(
            f"there is no call {request.scope['path']!r:.200}; there are /v1/models/{runner.card.name}, with "
            f"/versions/{version_number(runner)} or /labels/{STABLE} or neither, and then /metadata, :predict, "
            ":classify or nothing"
        )
    model = model_named(repository, call["model"])
    runner = asked_for(model, call["version"], call["label"])
    verb = (call["verb"] or "").lower()
    method = "POST" if verb else "GET"
    if request.method != method:
        raise MalformedRequest(f"this call does not take {request.method}, but {method}")
    if verb:
        return await _ask(request, runner, verb)
    if call["metadata"]:
        return _json(metadata(runner))
    return _json(status((runner,) if call["version"] or call["label"] else model.loaded))


route = _AnyCase(f"{PREFIX}{{call:path}}", answer)


def serves(path: str) -> bool:
    """Whether what stands at `path` is this protocol's, and so are its errors."""
    return path[: len(PREFIX)].lower() == PREFIX


async def respond_to_error(request: Request, error: Exception) -> Response:
    """`error` as TensorFlow Serving tells it: an object with a text."""
    count_rejection(error)
    status = status_of(error)
    if isinstance(error, ClientDisconnected):
        return Response(status_code=status)
    body = to_json({"error": detail_of(error, request.method)})
    status = HTTPStatus.BAD_REQUEST if status in _BAD_REQUESTS else status
    return Response(body, status, headers_of(error), "application/json")


async def _ask(request: Request, runner: ModelRunner, verb: str) -> Response:
    prediction = context_of(request).prediction
    runner.ensure_capacity()
    given, deadline = await _read(request, runner, _KEYS[verb])
    try:
        predicted = await prediction.predict(
            runner, given.rows, partial(until_disconnected, request), deadline=deadline
        )
    except ImageError as error:
        raise type(error)(f"{given.key}[{error.position}]: {error}") from error

    def write() -> Response:
        if given.key == "examples":
            return _json({"results": [_scores(one.scores, runner.card.class_names) for one in predicted]})
        answered = "predictions" if given.key == "instances" else "outputs"
        return _json({answered: [one.scores.outputs for one in predicted]})

    if len(predicted) * len(runner.card.class_names) > SMALL_ANSWER_VALUES:
        return await prediction.on_a_thread(write, deadline)
    return write()


async def _read(request: Request, runner: ModelRunner, keys: tuple[str, ...]) -> tuple[Rows, float]:
    """The rows in the body, and the deadline of a request whose body has come in now."""
    context = context_of(request)
    max_bytes, most_rows = context.settings.max_body_bytes, context.settings.max_images_per_request
    encoding = request.headers.get("content-encoding", "")
    content = await read_body(request, context.bodies)
    deadline = runner.deadline()

    def read() -> Rows:
        return read_rows(unpack(content, encoding, max_bytes), keys, runner.card.input, most_rows)

    if encoding or len(content) > SMALL_BODY_BYTES:
        return await context.prediction.on_a_thread(read, deadline), deadline
    return read(), deadline


def _scores(row: ImageScores, class_names: tuple[str, ...]) -> list[tuple[str, float]]:
    return list(zip(class_names, row.probabilities, strict=True))


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")
