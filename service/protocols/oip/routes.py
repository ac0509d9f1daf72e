"""The Open Inference Protocol, version 2, as the clients of Triton and KServe speak it."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from service.context import context_of
from service.errors import STOPPING, ClientDisconnected, NotReady
from service.http.problems import count_rejection, detail_of, headers_of, status_of
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions
from service.protocols.documentation import Endpoint, errors, for_versions
from service.protocols.oip import model_repository
from service.protocols.oip.answers import (
    ModelConfig,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    Statistics,
)
from service.protocols.oip.descriptions import EXTENSIONS, model_config, model_metadata
from service.protocols.oip.documentation import INFER_BODY, INFERRED, ModelName
from service.protocols.oip.infer import answer_infer
from service.protocols.oip.statistics import counting, statistics_of

PREFIX = "/v2"
TAG = "open-inference-protocol"
router = APIRouter(prefix=PREFIX, tags=[TAG])
router.include_router(model_repository.router)


async def _versions(request: Request, model: ModelName) -> ModelVersions:
    return context_of(request).prediction.repository.named(model)


Versions = Annotated[ModelVersions, Depends(_versions)]


async def _runner(request: Request, model: Versions) -> ModelRunner:
    version = request.path_params.get("version")
    return model.version(version) if version else model.current


Runner = Annotated[ModelRunner, Depends(_runner)]


def _of_model(method: str, call: str, name: str, **documented: Any) -> Callable[[Endpoint], Endpoint]:
    version = "the first 12 hex digits of the model file's SHA-256, or the number of its version folder"
    return for_versions(router, method, "/models/{model}", call, version, f"oip_model_{name}", **documented)


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


@router.get("", operation_id="oip_server_metadata", summary="Name the service", responses=errors())
async def server(request: Request) -> ServerMetadata:
    """Name and version of the service, and which extensions of the protocol it knows."""
    return {"name": request.app.title, "version": request.app.version, "extensions": EXTENSIONS}


@router.get("/health/live", operation_id="oip_server_live", summary="Is the process alive?", responses=errors())
async def server_live() -> ServerLive:
    """Answers as long as the process can answer at all."""
    return {"live": True}


@router.get("/health/ready", operation_id="oip_server_ready", summary="Are images taken?", responses=errors(503))
async def server_ready(request: Request) -> ServerReady:
    """200 while images are taken, 503 while the service is stopping."""
    return _ready(context_of(request).prediction.repository.default.current)


@router.get("/models/stats", operation_id="oip_statistics", summary="Count what was answered", responses=errors())
async def all_stats(request: Request) -> Statistics:
    """What this process has answered by this protocol: rows, requests and their nanoseconds, of each model.

    What Triton counts beside that, such as forward passes, is not known here and left out.
    """
    repository = context_of(request).prediction.repository
    return {"model_stats": [statistics_of(model.current) for model in repository.models]}


@_of_model("GET", "/stats", "statistics", summary="Count what a model answered", responses=errors(404))
async def stats(runner: Runner) -> Statistics:
    """What this process has answered by this protocol about one model."""
    return {"model_stats": [statistics_of(runner)]}


@_of_model("GET", "", "metadata", summary="Describe a model", responses=errors(404))
async def metadata(model: Versions, runner: Runner) -> ModelMetadata:
    """Name, versions and tensors. The input is declared as pixels; FP32 and BYTES are taken in its place.

    The output `embedding`, which a model has that ends in a dense layer, is sent to those who ask for it alone.
    """
    return model_metadata(model, runner)


@_of_model("GET", "/ready", "ready", summary="Are images taken for a model?", responses=errors(404, 503))
async def model_ready(runner: Runner) -> ModelReady:
    """200 while images are taken for the model, 503 while the service is stopping."""
    return {"name": runner.card.name, "ready": _ready(runner)["ready"]}


@_of_model("GET", "/config", "config", summary="Describe a model as Triton does", responses=errors(404))
async def config(request: Request, runner: Runner) -> ModelConfig:
    """The metadata once more, as Triton's image client reads it; sizes are without the batch."""
    return model_config(runner, context_of(request).settings.max_images_per_request)


@_of_model(
    "POST",
    "/infer",
    "infer",
    summary="Say what is in images",
    openapi_extra=INFER_BODY,
    response_model=None,
    responses={**INFERRED, **errors(400, 404, 408, 413, 415, 422, 503, 504)},
)
async def infer(request: Request, runner: Runner) -> Response:
    """The probabilities of each row, or its most probable classes, and its embedding where `outputs` name it.

    Counted for `stats`, with what fails.
    """
    with counting(runner) as counts:
        response, rows = await answer_infer(request, runner)
        counts.rows += rows
    return response


def _ready(runner: ModelRunner) -> ServerReady:
    if not runner.ready:
        raise NotReady(STOPPING)
    return {"ready": True}
