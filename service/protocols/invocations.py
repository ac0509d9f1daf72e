"""The two calls that platforms make of any container, at paths that they name: is it ready, and a prediction.

A prediction is asked for with what `/predict` takes, or with `instances` in JSON, as Vertex AI and SageMaker have it;
each is answered as `/predict` answers. Errors are problem documents, which the platforms pass on as they are.
"""

import time
from functools import partial
from typing import Any, NamedTuple, get_args

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from models.image_errors import ImageError
from models.preprocessing import PreparationChoice
from service.context import Context, context_of
from service.errors import STOPPING, MalformedRequest, NoFiniteAnswer, NotReady
from service.http.bodies import SMALL_ANSWER_VALUES, SMALL_BODY_BYTES, read_body, until_disconnected
from service.http.compression import unpack
from service.http.image_bodies import image_in, is_image, is_json
from service.http.json_bodies import bounds_for, kind_of, parse_json
from service.http.negotiation import choose_media_type
from service.http.queries import known_parameters_only
from service.inference.model_runner import ModelRunner
from service.inference.ranking import prediction_of
from service.prediction import Image, Predicted
from service.protocols.tfserving.rows import rows_in

_JSON, _JSON_LINES = "application/json", "application/jsonlines"
_INSTANCES = "instances"
_EXPECTED = f'{_INSTANCES!r}, such as [{{"b64": "<base64>"}}], or \'image\', such as "<base64>"'
_TOP_K = 10


class _Asked(NamedTuple):
    images: list[Image]
    listed: bool
    """Whether they came as `instances`, which may be just one."""
    top_k: int = _TOP_K
    preparation: PreparationChoice = "auto"


async def ready(request: Request) -> Response:
    """200 without a body once images are taken. Raises NotReady."""
    if not context_of(request).prediction.current(None).ready:
        raise NotReady(STOPPING)
    return Response()


async def invoke(request: Request) -> Response:
    """What is in the image, or in each of the instances. Raises ServiceError, or ImageError for the first one wrong."""
    context = context_of(request)
    context.prediction.find(None)
    body = await read_body(request, context.bodies)
    runner = context.prediction.current(None)
    asked = await _read(context, request, body, runner)
    left = partial(until_disconnected, request)
    try:
        predicted = await context.prediction.predict(runner, asked.images, left, preparation=asked.preparation)
    except ImageError as error:
        raise (type(error)(f"{_INSTANCES}[{error.position}]: {error}") if asked.listed else error) from None
    media_type = choose_media_type(request.headers.get("accept", "*/*"), (_JSON, _JSON_LINES))

    def write() -> Response:
        return Response(_written(predicted, asked, runner, media_type), media_type=media_type)

    if len(predicted) * len(runner.card.class_names) > SMALL_ANSWER_VALUES:
        return await context.prediction.on_a_thread(write, runner.deadline())
    return write()


def router_of(health_route: str | None, predict_route: str | None) -> APIRouter:
    """The calls at the paths that are given. They are none of the service's own API, and not in its document."""
    router = APIRouter()
    if health_route:
        router.add_api_route(health_route, ready, methods=["GET"], include_in_schema=False)
    if predict_route:
        known = [Depends(known_parameters_only)]
        router.add_api_route(predict_route, invoke, methods=["POST"], include_in_schema=False, dependencies=known)
    return router


async def _read(context: Context, request: Request, body: bytes, runner: ModelRunner) -> _Asked:
    content_type = request.headers.get("content-type", "")
    encoding = request.headers.get("content-encoding", "")

    def read() -> _Asked:
        content = unpack(body, encoding, context.settings.max_body_bytes)
        if is_json(content, content_type) and not is_image(content):
            return _asked_in_json(content, runner, context.settings.max_images_per_request)
        return _Asked([image_in(content, content_type)], listed=False)

    if encoding or (len(body) > SMALL_BODY_BYTES and is_json(body, content_type)):
        return await context.prediction.on_a_thread(read, time.monotonic() + context.settings.request_timeout_s)
    return read()


def _asked_in_json(content: bytes, runner: ModelRunner, most_rows: int) -> _Asked:
    wanted = runner.card.input
    given = parse_json(content, bounds_for(wanted, most_rows))
    if type(given) is not dict:
        raise MalformedRequest(f"the body is {kind_of(given)}, expected a JSON object with {_EXPECTED}")
    if given.keys() in ({"image"}, {"b64"}):
        return _Asked([image_in(content, _JSON)], listed=False)
    if _INSTANCES not in given:
        raise MalformedRequest(f"the JSON has {_names(given)}, expected {_EXPECTED}")
    if unknown := given.keys() - {_INSTANCES, "parameters", "signature_name"}:
        raise MalformedRequest(f"the JSON has {_names(unknown)}, expected 'parameters' at most beside {_INSTANCES!r}")
    rows = rows_in(given, (_INSTANCES,), wanted, most_rows).rows
    return _Asked(list(rows), True, *_parameters(given.get("parameters")))


def _parameters(given: Any) -> tuple[int, PreparationChoice]:
    if given is None:
        given = {}
    if type(given) is not dict or given.keys() - {"top_k", "preparation"}:
        found = _names(given) if type(given) is dict else kind_of(given)
        raise MalformedRequest(f"'parameters' has {found}, expected an object with 'top_k', 'preparation' or neither")
    top_k, preparation = given.get("top_k", _TOP_K), given.get("preparation", "auto")
    if type(top_k) is float and top_k.is_integer():
        top_k = int(top_k)  # Vertex AI writes each number as a float
    if type(top_k) is not int or not 1 <= top_k <= 1000:
        raise MalformedRequest(f"parameters: top_k is {top_k!r:.40}, expected a whole number from 1 to 1000")
    if preparation not in get_args(PreparationChoice):
        known = " or ".join(map(repr, get_args(PreparationChoice)))
        raise MalformedRequest(f"parameters: preparation is {preparation!r:.40}, expected {known}")
    return top_k, preparation


def _written(predicted: list[Predicted], asked: _Asked, runner: ModelRunner, media_type: str) -> bytes:
    model = {"name": runner.card.name, "version": runner.version}
    answers = []
    for place, one in enumerate(predicted):
        try:
            prediction = prediction_of(one.scores, runner.card, asked.top_k)
        except NoFiniteAnswer as error:
            raise NoFiniteAnswer(f"{_INSTANCES}[{place}]: {error}") if asked.listed else error from None
        answers.append({**prediction, "model": model})
    if media_type == _JSON_LINES:
        return b"".join(to_json(answer, inf_nan_mode="null") + b"\n" for answer in answers)
    return to_json({"predictions": answers} if asked.listed else answers[0], inf_nan_mode="null")


def _names(given: Any) -> str:
    return f"{', '.join(map(repr, sorted(given)))}"[:200] or "nothing"
