"""What those who run the service ask: is it alive, is it ready."""

from anyio import to_thread
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.api.dependencies import Live
from service.api.openapi import answers, problems
from service.api.schemas import Health
from service.errors import STOPPING, NotReady
from service.metrics import exposition

_METRICS = """\
# HELP keras_service_requests_total Requests answered
# TYPE keras_service_requests_total counter
keras_service_requests_total{route="/predict",status="200"} 1024.0
"""

router = APIRouter(tags=["operations"])


@router.get("/health/live", summary="Is the process alive?", responses={**answers(Health(status="live")), **problems()})
async def live() -> Health:
    """Answers as long as the process can answer at all; start it anew when it does not."""
    return Health(status="live")


@router.get(
    "/health/ready",
    summary="Can it answer about images?",
    responses={**answers(Health(status="ready")), **problems(404, details={503: STOPPING})},
)
async def ready(live: Live) -> Health:
    """200 once the model is loaded and warm, 503 while the service is stopping; send no images then."""
    if not live.ready:
        raise NotReady(STOPPING)
    return Health(status="ready")


@router.get(
    "/metrics",
    summary="Show what was counted",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus's text format, of all workers",
            "content": {CONTENT_TYPE_LATEST.partition(";")[0]: {"schema": {"type": "string"}, "example": _METRICS}},
        },
        **problems(),
    },
)
async def metrics() -> Response:
    """Requests, their time in the queue and in the model, batches, refusals, classes, familiarity, the model."""
    return Response(await to_thread.run_sync(exposition), media_type=CONTENT_TYPE_LATEST)
