"""The Open Inference Protocol, version 2, as the clients of Triton and KServe speak it, for the one model there is."""

import time
from collections import defaultdict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from service.errors import STOPPING, NotReady
from service.inference.live_model import LiveModel
from service.routes.dependencies import Live
from service.routes.infer import INPUT, OUTPUT, answer_infer
from service.routes.plain_errors import PlainErrorRoute, refuse_other_calls

# Left out of the OpenAPI document, which promises errors of another shape.
router = APIRouter(prefix="/v2", route_class=PlainErrorRoute, include_in_schema=False)

PLATFORM = "keras_h5"
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "statistics")


@dataclass
class _Counts:
    """What this process has answered of one version of the model by this protocol."""

    rows: int = 0
    answered: int = 0
    answered_ns: int = 0
    failed: int = 0
    failed_ns: int = 0


async def _named_model(request: Request) -> LiveModel:
    live: LiveModel = request.app.state.live
    path = request.path_params
    name, version = path["model"], path.get("version", live.version)
    if (name, version) != (live.card.name, live.version):
        raise HTTPException(
            HTTPStatus.NOT_FOUND,
            f"there is no model {name!r:.80} of version {version!r:.80}; "
            f"served are {live.card.name!r} and its version {live.version!r}",
        )
    return live


Named = Annotated[LiveModel, Depends(_named_model)]


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
    """200 while pictures are taken, 503 while the service is stopping."""
    if not live.ready:
        raise NotReady(STOPPING)
    return {"ready": True}


@router.get("/models/stats")
@router.get("/models/{model}/stats", dependencies=[Depends(_named_model)])
@router.get("/models/{model}/versions/{version}/stats", dependencies=[Depends(_named_model)])
async def stats(request: Request, live: Live) -> dict[str, Any]:
    """What this process has answered by this protocol: rows, requests and their nanoseconds.

    What Triton counts beside that, such as calls of the network, is not known here and left out.
    """
    counts = _counts(request, live)
    success = {"count": counts.answered, "ns": counts.answered_ns}
    fail = {"count": counts.failed, "ns": counts.failed_ns}
    model = {"name": live.card.name, "version": live.version, "inference_count": counts.rows}
    return {"model_stats": [{**model, "inference_stats": {"success": success, "fail": fail}}]}


@router.get("/models/{model}")
@router.get("/models/{model}/versions/{version}")
async def metadata(live: Named) -> dict[str, Any]:
    """Name, version and tensors. The input is declared as pixels; FP32 and BYTES are taken in its place."""
    wanted = live.card.input
    return {
        "name": live.card.name,
        "versions": [live.version],
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
        "max_batch_size": request.app.state.settings.max_batch_pictures,
        "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "format": "FORMAT_NHWC", "dims": dims}],
        "output": [{"name": OUTPUT, "data_type": "TYPE_FP32", "dims": [len(live.card.class_names)]}],
    }


@router.post("/repository/index")
async def repository_index(live: Live) -> list[dict[str, str]]:
    """The one model."""
    state, reason = ("READY", "") if live.ready else ("UNAVAILABLE", STOPPING)
    return [{"name": live.card.name, "version": live.version, "state": state, "reason": reason}]


@router.post("/repository/models/{model}/load")
async def load(live: Named) -> None:
    """Not yet."""
    raise HTTPException(
        HTTPStatus.NOT_IMPLEMENTED, f"{live.card.name} is loaded; to take over a new file, start the service anew"
    )


@router.post("/repository/models/{model}/unload")
async def unload(live: Named) -> None:
    """Not offered: there would be nothing left to serve."""
    raise HTTPException(
        HTTPStatus.NOT_IMPLEMENTED, f"{live.card.name} is the only model and stays loaded; stop the service instead"
    )


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


refuse_other_calls(router)


def _counts(request: Request, live: LiveModel) -> _Counts:
    state = request.app.state
    if not hasattr(state, "openinference_counts"):
        state.openinference_counts = defaultdict(_Counts)
    counts: _Counts = state.openinference_counts[live.version]
    return counts
