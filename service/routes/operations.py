"""What those who run the service ask: is it alive, is it ready."""

from fastapi import APIRouter

from service.errors import STOPPING, NotReady
from service.routes.dependencies import Live
from service.routes.documentation import answers, problems
from service.schemas import Health

router = APIRouter(prefix="/health", tags=["operations"])


@router.get("/live", summary="Is the process alive?", responses={**answers(Health(status="live")), **problems()})
async def live() -> Health:
    """Answers as long as the process can answer at all; start it anew when it does not."""
    return Health(status="live")


@router.get(
    "/ready",
    summary="Can it answer about pictures?",
    responses={**answers(Health(status="ready")), **problems(details={503: STOPPING})},
)
async def ready(live: Live) -> Health:
    """200 once the model is loaded and warm, 503 while the service is stopping; send no pictures then."""
    if not live.ready:
        raise NotReady(STOPPING)
    return Health(status="ready")
