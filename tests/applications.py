"""The whole application in this process, around engines that are loaded already; and what stands inside of it."""

import atexit
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from models.specification import Facts
from service.app import create_app
from service.context import Context
from service.engines.base import Engine, EngineLoader
from service.engines.fake import FakeLoader
from service.engines.tensorflow import TensorFlowEngine, TensorFlowLoader
from service.explain.process import loaded_models
from service.inference.desired_state import DesiredState
from service.inference.model_runner import ModelRunner
from service.inference.numbered_versions import LoadedModel
from service.settings import Device, ServiceSettings

# For tests of what takes long beside other work, and whose subject no time is.
PATIENT = ServiceSettings(request_timeout_s=60)
loaded_models.START_S = 240
_STATES = TemporaryDirectory(prefix="states-")
atexit.register(_STATES.cleanup)


def application(settings: ServiceSettings, *engines: Engine, loader: EngineLoader | None = None) -> ASGIApp:
    models = [LoadedModel(settings.model_place, engine) for engine in engines]
    return create_app(settings, models, loader or FakeLoader(), DesiredState(Path(mkdtemp(dir=_STATES.name))))


def tensorflow_engine(
    path: Path, device: Device = "cpu", options: Facts | None = None, max_batch_size: int = 64
) -> TensorFlowEngine:
    """Loaded with the threads that TensorFlow has in this process."""
    return TensorFlowLoader(device, None, options or Facts(), max_batch_size).load(path)


def fastapi_of(app: Any) -> FastAPI:
    """What stands behind the middleware and the fast path of `app`."""
    while not isinstance(app, FastAPI):
        app = app.app
    return app


def context_of(client: TestClient) -> Context:
    """The parts of the application that `client` asks."""
    context: Context = fastapi_of(client.app).state.context
    return context


def runner_of(client: TestClient) -> ModelRunner:
    """What answers for the default model."""
    return context_of(client).prediction.repository.default.current
