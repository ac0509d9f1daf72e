"""TensorFlow Serving's REST API on the models that are served, for its clients.

Numbers go to the model as they are; images are prepared as `/predict` does it. What TensorFlow Serving has no
status for (a body that is too large, no image, another method) is 400 here: its clients know the others only.
"""

import re
from functools import partial
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.routing import Match, Route
from starlette.types import Scope

from models.card import ImageInput
from models.preprocessing import ImageError, ModelInput, Pixels
from service.api.predict import CLIENT_CLOSED_REQUEST, unless_gone
from service.errors import BodyTooLarge, MalformedRequest, NotFound, UnsupportedMediaType
from service.http.bodies import read_body
from service.http.compression import unpack
from service.inference.model_runner import ImageScores, ModelRunner
from service.inference.repository import ModelRepository
from service.protocols.tfserving.rows import INPUT_NAME, SIGNATURE_NAME, Rows, read_rows

OUTPUT_NAME = "output"
STABLE = "stable"
# A body of about this size is read in less time than it takes to hand the work to a thread and back.
SMALL_BODY_BYTES = 100_000

_CALL = re.compile(
    r"/(?P<model>[^/:]+)(/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
    r"(:(?P<verb>predict|classify)|(?P<metadata>/metadata))?",
    re.IGNORECASE,
)
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
    repository: ModelRepository = request.app.state.repository
    live = repository.default.live
    call = _CALL.fullmatch(request.path_params["call"])
    if not call:
        raise NotFound(
            f"there is no call {request.scope['path']!r:.200}; there are /v1/models/{live.card.name}, with "
            f"/versions/{version_number(live)} or /labels/{STABLE} or neither, and then /metadata, :predict, :classify "
            "or nothing"
        )
    live = _asked_for(repository, call["model"], call["version"], call["label"])
    verb = (call["verb"] or "").lower()
    method = "POST" if verb else "GET"
    if request.method != method:
        raise MalformedRequest(f"this call does not take {request.method}, but {method}")
    if verb:
        return await _ask(request, live, verb)
    return _json(_metadata(live) if call["metadata"] else _status(live))


route = _AnyCase("/v1/models{call:path}", answer)


def version_number(live: ModelRunner) -> str:
    """The model's version as TensorFlow Serving has them, decimal digits: the value of our hexadecimal ones."""
    return str(int(live.version, 16))


def _asked_for(repository: ModelRepository, name: str, version: str | None, label: str | None) -> ModelRunner:
    by_name = {model.live.card.name.lower(): model for model in repository.models}
    model = by_name.get(name.lower()) or repository.named(name)
    live = model.live
    if label and label.lower() != STABLE:
        raise NotFound(f"there is no label {label!r:.40} on {live.card.name!r}; the one that answers is {STABLE!r}")
    if not version:
        return live
    kept = {version_number(live).lstrip("0"): live for live in model.loaded}
    if version.lstrip("0") not in kept:
        raise NotFound(f"there is no version {version:.40} of {live.card.name!r}; there are {', '.join(kept)}")
    return kept[version.lstrip("0")]


async def _ask(request: Request, live: ModelRunner, verb: str) -> Response:
    live.ensure_capacity()
    given, deadline = await _read(request, live, _KEYS[verb])
    live.ensure_capacity(len(given.rows))
    images = []
    for place, row in enumerate(given.rows):
        images.append(await _prepared(request, live.card.input, row, f"{given.key}[{place}]", deadline))
    rows = await unless_gone(request, live, live.predict(images, deadline))
    if not rows:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    if given.key == "examples":
        return _json({"results": [_scores(row, live.card.class_names) for row in rows]})
    answered = "predictions" if given.key == "instances" else "outputs"
    return _json({answered: [row.probabilities for row in rows]})


async def _read(request: Request, live: ModelRunner, keys: tuple[str, ...]) -> tuple[Rows, float]:
    """The rows in the body, and the deadline of a request whose body has come in now."""
    state = request.app.state
    max_bytes = state.settings.max_body_bytes
    encoding = request.headers.get("content-encoding", "")
    try:
        content = await read_body(request, state.bodies)
        deadline = live.deadline()
        read = partial(_rows, content, encoding, max_bytes, keys, live, state.settings.max_images_per_request)
        if encoding or len(content) > SMALL_BODY_BYTES:
            return await state.decoder.on_a_thread(read, deadline), deadline
        return read(), deadline
    except (BodyTooLarge, UnsupportedMediaType) as error:
        raise MalformedRequest(str(error)) from error


def _rows(
    content: bytes, encoding: str, max_bytes: int, keys: tuple[str, ...], live: ModelRunner, most_rows: int
) -> Rows:
    return read_rows(unpack(content, encoding, max_bytes), keys, live.card.input, most_rows)


async def _prepared(
    request: Request, wanted: ImageInput, row: ModelInput | bytes, where: str, deadline: float
) -> ModelInput | Pixels:
    if not isinstance(row, bytes):
        return row
    try:
        pixels: Pixels = await request.app.state.decoder.pixels(row, wanted, deadline)
    except ImageError as error:
        raise MalformedRequest(f"{where}: {error}") from error
    return pixels


def _scores(row: ImageScores, class_names: tuple[str, ...]) -> list[tuple[str, float]]:
    return list(zip(class_names, row.probabilities, strict=True))


def _status(live: ModelRunner) -> dict[str, Any]:
    state = "AVAILABLE" if live.ready else "UNLOADING"
    status = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": version_number(live), "state": state, "status": status}]}


def _metadata(live: ModelRunner) -> dict[str, Any]:
    wanted = live.card.input
    signature = {
        "inputs": {INPUT_NAME: _tensor(INPUT_NAME, wanted.height, wanted.width, wanted.channels)},
        "outputs": {OUTPUT_NAME: _tensor(OUTPUT_NAME, len(live.card.class_names))},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    return {
        "model_spec": {"name": live.card.name, "signature_name": "", "version": version_number(live)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE_NAME: signature}}},
    }


def _tensor(name: str, *sizes: int) -> dict[str, Any]:
    dimensions = [{"size": str(size), "name": ""} for size in (-1, *sizes)]
    shape = {"dim": dimensions, "unknown_rank": False}
    return {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": f"{name}:0"}


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")
