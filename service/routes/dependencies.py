"""What routes are given: the live model, the settings, the decoder and the renderer, by short names."""

from typing import Annotated

from fastapi import Depends, Request

from service.inference.decoder import Decoder
from service.inference.live_model import LiveModel
from service.insight.render import Renderer
from service.settings import ServiceSettings


async def _live_model(request: Request) -> LiveModel:
    live: LiveModel = request.app.state.live
    return live


async def _settings(request: Request) -> ServiceSettings:
    settings: ServiceSettings = request.app.state.settings
    return settings


async def _decoder(request: Request) -> Decoder:
    decoder: Decoder = request.app.state.decoder
    return decoder


async def _renderer(request: Request) -> Renderer:
    renderer: Renderer = request.app.state.renderer
    return renderer


Live = Annotated[LiveModel, Depends(_live_model)]
Settings = Annotated[ServiceSettings, Depends(_settings)]
PictureDecoder = Annotated[Decoder, Depends(_decoder)]
PlotRenderer = Annotated[Renderer, Depends(_renderer)]
