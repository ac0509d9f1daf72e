"""What routes are given: the live model and the renderer, by short names."""

from typing import Annotated

from fastapi import Depends, Request

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
