"""The Open Inference Protocol, version 2, as the clients of Triton and KServe speak it."""

import os
import signal
import time
from collections import defaultdict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, Field, ValidationError

from models.card import ModelFileError
from service.api.dependencies import Live, model_name
from service.errors import STOPPING, MalformedRequest, NotReady
from service.http.bodies import read_body
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions
from service.inference.repository import ModelRepository
from service.protocols.oip.infer import INPUT, OUTPUT, answer_infer

# Left out of the OpenAPI document, which promises errors of another shape.
router = APIRouter(prefix="/v2", include_in_schema=False)

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


async def _served_model(request: Request) -> ModelVersions:
    repository: ModelRepository = request.app.state.repository
    return repository.named(request.path_params["model"])


Served = Annotated[ModelVersions, Depends(_served_model)]


async def _named_model(request: Request, model: Served) -> ModelRunner:
    version = request.path_params.get("version")
    return model.version(version) if version else model.live


Named = Annotated[ModelRunner, Depends(_named_model)]


@router.get("")
async def server(request: Request) -> dict[str, Any]:
    """Name and version of the service, and which extensions of the protocol it knows."""
    return {"name": request.app.title, "version": request.app.version, "extensions": EXTENSIONS}


@router.get("/health/live")
async def server_live() -> dict[str, bool]:
    """Answers as long as the process can answer at all."""
    return {"live": True}


@router.get("/health/ready")
async def server_ready(live: Live) -> dict[str, bool]:
    """200 while images are taken, 503 while the service is stopping."""
    if not live.ready:
        raise NotReady(STOPPING)
    return {"ready": True}


@router.get("/models/stats")
async def all_stats(request: Request) -> dict[str, Any]:
    """What this process has answered by this protocol: rows, requests and their nanoseconds, of each model.

    What Triton counts beside that, such as forward passes, is not known here and left out.
    """
    repository: ModelRepository = request.app.state.repository
    return {"model_stats": [_stats(request, model.live) for model in repository.models]}


@router.get("/models/{model}/stats")
@router.get("/models/{model}/versions/{version}/stats")
async def stats(request: Request, live: Named) -> dict[str, Any]:
    """The same of one model."""
    return {"model_stats": [_stats(request, live)]}


def _stats(request: Request, live: ModelRunner) -> dict[str, Any]:
    counts = _counts(request, live)
    success = {"count": counts.answered, "ns": counts.answered_ns}
    fail = {"count": counts.failed, "ns": counts.failed_ns}
    model = {"name": live.card.name, "version": live.version, "inference_count": counts.rows}
    return {**model, "inference_stats": {"success": success, "fail": fail}}


@router.get("/models/{model}")
@router.get("/models/{model}/versions/{version}")
async def metadata(model: Served, live: Named) -> dict[str, Any]:
    """Name, versions and tensors. The input is declared as pixels; FP32 and BYTES are taken in its place."""
    wanted = live.card.input
    return {
        "name": live.card.name,
        "versions": [version.version for version in model.loaded],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, wanted.height, wanted.width, wanted.channels]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(live.card.class_names)]}],
    }


@router.get("/models/{model}/ready")
@router.get("/models/{model}/versions/{version}/ready")
async def model_ready(live: Named) -> dict[str, Any]:
    """As `server_ready`, of the model."""
    return {"name": live.card.name, **await server_ready(live)}


@router.get("/models/{model}/config")
@router.get("/models/{model}/versions/{version}/config")
async def config(request: Request, live: Named) -> dict[str, Any]:
    """The metadata once more, as Triton's image client reads it; sizes are without the batch."""
    wanted = live.card.input
    dims = [wanted.height, wanted.width, wanted.channels]
    return {
        "name": live.card.name,
        "platform": PLATFORM,
        "max_batch_size": request.app.state.settings.max_images_per_request,
        "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "format": "FORMAT_NHWC", "dims": dims}],
        "output": [{"name": OUTPUT, "data_type": "TYPE_FP32", "dims": [len(live.card.class_names)]}],
    }


@router.post("/repository/index")
async def repository_index(request: Request) -> list[dict[str, str]]:
    """The models that answer, and those that were unloaded."""
    repository: ModelRepository = request.app.state.repository
    unloaded = [{"name": name, "state": "UNAVAILABLE", "reason": "unloaded"} for name in sorted(repository.unloaded)]
    return [
        {
            "name": model.live.card.name,
            "version": model.live.version,
            "state": "READY" if model.live.ready else "UNAVAILABLE",
            "reason": "" if model.live.ready else STOPPING,
        }
        for model in repository.models
    ] + unloaded


@router.post("/repository/models/{model}/load")
async def load(request: Request, model: str) -> dict[str, str]:
    """Let the file that stands in the model's place now answer, or the earlier `version` that the parameters name.

    A model that came into the folder of models is loaded for the first time. With several workers, the others are told
    to take over the same file.
    """
    repository: ModelRepository = request.app.state.repository
    version = _wanted_version(await read_body(request, request.app.state.bodies))
    try:
        live = await (repository.named(model).roll_back(version) if version else repository.load(model))
    except ModelFileError as error:
        raise MalformedRequest(f"{error}; what answered before goes on answering") from error
    if request.app.state.settings.workers > 1 and not version:
        os.kill(os.getppid(), signal.SIGHUP)
    return model_name(live)


@router.post("/repository/models/{model}/unload")
async def unload(request: Request, served: Served) -> None:
    """Let one of several models answer no longer, until it is loaded again. With several workers not offered."""
    repository: ModelRepository = request.app.state.repository
    name = served.live.card.name
    if request.app.state.settings.workers > 1:
        raise HTTPException(
            HTTPStatus.NOT_IMPLEMENTED,
            f"{name} stays loaded: with several workers the others cannot be told; take its file away and start anew",
        )
    repository.unload(name)


@router.post("/models/{model}/infer")
@router.post("/models/{model}/versions/{version}/infer")
async def infer(request: Request, live: Named) -> Response:
    """The probabilities of each row, or its most probable classes. Counted for `stats`, with what fails."""
    counts = _counts(request, live)
    start = time.perf_counter_ns()
    try:
        response, rows = await answer_infer(request, live)
    except Exception:
        counts.failed += 1
        counts.failed_ns += time.perf_counter_ns() - start
        raise
    counts.rows += rows
    counts.answered += 1
    counts.answered_ns += time.perf_counter_ns() - start
    return response


def _wanted_version(body: bytes) -> str | None:
    """What the body, which clients send without a content type or not at all, says of the version."""
    if not body:
        return None
    try:
        return LoadRequest.model_validate_json(body).parameters.version
    except ValidationError as error:
        raise MalformedRequest(f"the body is not what load takes: {error.errors()[0]['msg']}") from error


def _counts(request: Request, live: ModelRunner) -> _Counts:
    state = request.app.state
    if not hasattr(state, "openinference_counts"):
        state.openinference_counts = defaultdict(_Counts)
    counts: _Counts = state.openinference_counts[live.version]
    return counts
