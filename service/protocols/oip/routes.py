"""The Open Inference Protocol, version 2, as the clients of Triton and KServe speak it."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from models.card import ModelFileError
from service.context import context_of
from service.errors import STOPPING, ClientDisconnected, MalformedRequest, NotReady
from service.http.bodies import SMALL_BODY_BYTES, read_body
from service.http.compression import unpack
from service.http.json_bodies import JsonBounds, parse_json
from service.http.problems import count_rejection, detail_of, headers_of, status_of
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions
from service.protocols.oip.infer import INPUT, OUTPUT, answer_infer

PREFIX = "/v2"
# Left out of the OpenAPI document, which promises errors of another shape.
router = APIRouter(prefix=PREFIX, include_in_schema=False)

PLATFORM = "keras_h5"
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")


class LoadParameters(BaseModel):
    """What may be said of the file to load; parameters of other servers are left alone."""

    version: Annotated[str | None, Field(max_length=40)] = None


class LoadRequest(BaseModel):
    """The body of a load request, which may be left out."""

    parameters: LoadParameters = LoadParameters()


@dataclass
class _Counts:
    """What this process has answered of one version of the model by this protocol."""

    rows: int = 0
    answered: int = 0
    answered_ns: int = 0
    failed: int = 0
    failed_ns: int = 0


# Gone with the version that they are of.
_COUNTS: WeakKeyDictionary[ModelRunner, _Counts] = WeakKeyDictionary()


async def _versions(request: Request) -> ModelVersions:
    return context_of(request).prediction.repository.named(request.path_params["model"])


Versions = Annotated[ModelVersions, Depends(_versions)]


async def _runner(request: Request, model: Versions) -> ModelRunner:
    version = request.path_params.get("version")
    return model.version(version) if version else model.current


Runner = Annotated[ModelRunner, Depends(_runner)]


def serves(path: str) -> bool:
    """Whether what stands at `path` is this protocol's, and so are its errors."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


async def respond_to_error(request: Request, error: Exception) -> Response:
    """`error` as the protocol has it: an object with a text, whatever the status, or clients cannot read it."""
    count_rejection(error)
    status = status_of(error)
    if isinstance(error, ClientDisconnected):
        return Response(status_code=status)
    body = to_json({"error": detail_of(error, request.method)})
    return Response(body, status, headers_of(error), "application/json")


@router.get("")
async def server(request: Request) -> dict[str, Any]:
    """Name and version of the service, and which extensions of the protocol it knows."""
    return {"name": request.app.title, "version": request.app.version, "extensions": EXTENSIONS}


@router.get("/health/live")
async def server_live() -> dict[str, bool]:
    """Answers as long as the process can answer at all."""
    return {"live": True}


@router.get("/health/ready")
async def server_ready(request: Request) -> dict[str, bool]:
    """200 while images are taken, 503 while the service is stopping."""
    return _ready(context_of(request).prediction.repository.default.current)


@router.get("/models/stats")
async def all_stats(request: Request) -> dict[str, Any]:
    """What this process has answered by this protocol: rows, requests and their nanoseconds, of each model.

    What Triton counts beside that, such as forward passes, is not known here and left out.
    """
    repository = context_of(request).prediction.repository
    return {"model_stats": [_stats(model.current) for model in repository.models]}


@router.get("/models/{model}/stats")
@router.get("/models/{model}/versions/{version}/stats")
async def stats(runner: Runner) -> dict[str, Any]:
    """The same of one model."""
    return {"model_stats": [_stats(runner)]}


def _stats(runner: ModelRunner) -> dict[str, Any]:
    counts = _counts(runner)
    success = {"count": counts.answered, "ns": counts.answered_ns}
    fail = {"count": counts.failed, "ns": counts.failed_ns}
    model = {"name": runner.card.name, "version": runner.version, "inference_count": counts.rows}
    return {**model, "inference_stats": {"success": success, "fail": fail}}


@router.get("/models/{model}")
@router.get("/models/{model}/versions/{version}")
async def metadata(model: Versions, runner: Runner) -> dict[str, Any]:
    """Name, versions and tensors. The input is declared as pixels; FP32 and BYTES are taken in its place."""
    wanted = runner.card.input
    return {
        "name": runner.card.name,
        "versions": [version.version for version in model.loaded],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, wanted.height, wanted.width, wanted.channels]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(runner.card.class_names)]}],
    }


@router.get("/models/{model}/ready")
@router.get("/models/{model}/versions/{version}/ready")
async def model_ready(runner: Runner) -> dict[str, Any]:
    """As `server_ready`, of the model."""
    return {"name": runner.card.name, **_ready(runner)}


@router.get("/models/{model}/config")
@router.get("/models/{model}/versions/{version}/config")
async def config(request: Request, runner: Runner) -> dict[str, Any]:
    """The metadata once more, as Triton's image client reads it; sizes are without the batch."""
    wanted = runner.card.input
    dims = [wanted.height, wanted.width, wanted.channels]
    return {
        "name": runner.card.name,
        "platform": PLATFORM,
        "max_batch_size": context_of(request).settings.max_images_per_request,
        "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "format": "FORMAT_NHWC", "dims": dims}],
        "output": [{"name": OUTPUT, "data_type": "TYPE_FP32", "dims": [len(runner.card.class_names)]}],
    }


@router.post("/repository/index")
async def repository_index(request: Request) -> list[dict[str, str]]:
    """The models that answer, and those that were unloaded."""
    repository = context_of(request).prediction.repository
    unloaded = [{"name": name, "state": "UNAVAILABLE", "reason": "unloaded"} for name in sorted(repository.unloaded)]
    return [
        {
            "name": model.current.card.name,
            "version": model.current.version,
            "state": "READY" if model.current.ready else "UNAVAILABLE",
            "reason": "" if model.current.ready else STOPPING,
        }
        for model in repository.models
    ] + unloaded


@router.post("/repository/models/{model}/load")
async def load(request: Request, model: str) -> dict[str, str]:
    """Let the file that stands in the model's place now answer, or the previous `version` that the parameters name.

    A model that came into the folder of models is loaded for the first time. All workers follow.
    """
    context = context_of(request)
    repository = context.prediction.repository
    body = await read_body(request, context.bodies)
    encoding = request.headers.get("content-encoding", "")
    read = partial(_wanted_version, body, encoding, context.settings.max_body_bytes)
    # Other servers take whole files here.
    deadline = time.monotonic() + context.settings.request_timeout_s
    large = bool(encoding) or len(body) > SMALL_BODY_BYTES
    version = await context.prediction.on_a_thread(read, deadline) if large else read()
    try:
        runner = await (repository.roll_back(model, version) if version else repository.load(model))
    except ModelFileError as error:
        raise MalformedRequest(f"{error}; what answered before goes on answering") from error
    return {"name": runner.card.name, "version": runner.version}


@router.post("/repository/models/{model}/unload")
async def unload(request: Request, model: str) -> None:
    """Let one of several models answer no longer, in any worker, until it is loaded again."""
    await context_of(request).prediction.repository.unload(model)


@router.post("/models/{model}/infer")
@router.post("/models/{model}/versions/{version}/infer")
async def infer(request: Request, runner: Runner) -> Response:
    """The probabilities of each row, or its most probable classes. Counted for `stats`, with what fails."""
    counts = _counts(runner)
    start = time.perf_counter_ns()
    try:
        response, rows = await answer_infer(request, runner)
    except Exception:
        counts.failed += 1
        counts.failed_ns += time.perf_counter_ns() - start
        raise
    counts.rows += rows
    counts.answered += 1
    counts.answered_ns += time.perf_counter_ns() - start
    return response


def _wanted_version(packed: bytes, encoding: str, max_bytes: int) -> str | None:
    """What the body, which clients send without a content type or not at all, says of the version."""
    body = unpack(packed, encoding, max_bytes)
    if not body:
        return None
    content = parse_json(body, JsonBounds())
    try:
        return LoadRequest.model_validate(content).parameters.version
    except ValidationError as error:
        raise MalformedRequest(f"the body is not what load takes: {error.errors()[0]['msg']}") from error


def _ready(runner: ModelRunner) -> dict[str, bool]:
    if not runner.ready:
        raise NotReady(STOPPING)
    return {"ready": True}


def _counts(runner: ModelRunner) -> _Counts:
    return _COUNTS.setdefault(runner, _Counts())
