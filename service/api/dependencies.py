"""What several routes are given, by short names: the live model, the renderer, what callers choose."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request

from models.preprocessing import PreparationChoice
from service.explain.drawing.renderer import Renderer
from service.inference.model_runner import ModelRunner
from service.inference.repository import ModelRepository

WhichModel = Annotated[
    str | None, Query(description="which model, where several are served; the default one if left out")
]


async def _live_model(request: Request, model: WhichModel = None) -> ModelRunner:
    return live_model(request, model)


async def _renderer(request: Request) -> Renderer:
    renderer: Renderer = request.app.state.renderer
    return renderer


def live_model(request: Request, name: str | None) -> ModelRunner:
    """What answers now for the model of that name, or for the default one. Raises NotFound."""
    repository: ModelRepository = request.app.state.repository
    return repository.named(name).live


Live = Annotated[ModelRunner, Depends(_live_model)]
PlotRenderer = Annotated[Renderer, Depends(_renderer)]
Accept = Annotated[str, Header(include_in_schema=False)]
HowPrepared = Annotated[
    PreparationChoice,
    Query(description="`auto`: as the model's card says; `none`: only scaled to the model's size and colours"),
]


def model_name(live: ModelRunner) -> dict[str, str]:
    """The shape of `ModelName`, without the cost of making one."""
    return {"name": live.card.name, "version": live.version}
