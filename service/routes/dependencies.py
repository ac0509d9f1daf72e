"""What several routes are given, by short names: the live model, the renderer, what callers choose."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request

from models.picture import PreparationChoice
from service.inference.live_model import LiveModel
from service.insight.render import Renderer


async def _live_model(request: Request) -> LiveModel:
    live: LiveModel = request.app.state.models.live
    return live


async def _renderer(request: Request) -> Renderer:
    renderer: Renderer = request.app.state.renderer
    return renderer


Live = Annotated[LiveModel, Depends(_live_model)]
PlotRenderer = Annotated[Renderer, Depends(_renderer)]
Accept = Annotated[str, Header(include_in_schema=False)]
HowPrepared = Annotated[
    PreparationChoice,
    Query(description="`auto`: as the model's card says; `none`: only scaled to the network's size and colours"),
]


def model_name(live: LiveModel) -> dict[str, str]:
    """The shape of `ModelName`, without the cost of making one."""
    return {"name": live.card.name, "version": live.version}
