"""Joins the parts into one ASGI application. Knows every call; knows no engine and no command line."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from models.image_errors import ImageError
from service.api import embed, explain, model, operations, pages, plots, predict
from service.api.document import install_documentation
from service.context import Context
from service.engines.base import Engine, EngineLoader
from service.engines.findings import log_findings
from service.errors import ServiceError
from service.explain.explained_models import ExplainedModels
from service.explain.process.queue import ExplanationQueue
from service.http import problems
from service.http.auth import ApiKeys
from service.http.bodies import BodyLimits
from service.http.cross_origin import CrossOrigin
from service.http.fast_path import FastPath
from service.http.middleware import RequestMiddleware, is_open
from service.http.paths import Paths, path_within
from service.inference.batcher import BatchLimits
from service.inference.decoder import Decoder
from service.inference.desired_state import DesiredState
from service.inference.model_runner import ModelRunner
from service.inference.numbered_versions import LoadedModel
from service.inference.repository import ModelRepository
from service.inference.thread_pool import ThreadPool
from service.inference.version_folders import given_name, is_version_folder
from service.inference.waiting_bytes import WaitingBytes
from service.inference.workers import Workers
from service.logs import LOGGER
from service.metrics import DEVICE_MEMORY, LOADED
from service.prediction import Prediction
from service.protocols import invocations
from service.protocols.oip import routes as oip
from service.protocols.tfserving import documentation as tfserving_documentation
from service.protocols.tfserving import routes as tfserving
from service.server.listening import on_shutdown
from service.server.reload_signal import on_sighup
from service.server.watchdog import watch_for_stalls
from service.settings import LAST_CALL_S, URL_NAME, ServiceSettings

if TYPE_CHECKING:
    from service.protocols.grpc.server import GrpcServer

DISTRIBUTION = "keras-image-service"

# How old the figure of the GPU's memory may be.
DEVICE_MEMORY_EVERY_S = 5.0

_DESCRIPTION = """
POST an image to `/predict` and read what is in it. The other calls show how the model is built and how good it is.

Every error is a problem document (RFC 9457, `application/problem+json`) whose `detail` says what arrived, what was
expected and what to do.
"""

log = logging.getLogger(LOGGER)

_NO_URL_NAME = (
    "the model calls itself {!r:.80}, which other protocols' clients may not find in a URL; give it a name of letters, "
    "digits and ._- with --model-name"
)

_TAGS = [
    {"name": "predict", "description": "What is in an image."},
    {"name": "embed", "description": "An image as a vector, to find others that look like it."},
    {"name": "model", "description": "How the model is built, and what its file says of itself."},
    {"name": "plots", "description": "The same in images."},
    {"name": "explain", "description": "What the model sees in an image, and how it comes to its answer."},
    {"name": "operations", "description": "For those who run the service."},
    {"name": tfserving_documentation.TAG, "description": "TensorFlow Serving's REST API, for its clients."},
    {"name": oip.TAG, "description": "The Open Inference Protocol, version 2, for the clients of Triton and KServe."},
]


class _ProtocolErrors(Protocol):
    """How another system's protocol tells errors, and where."""

    def serves(self, path: str) -> bool: ...

    async def respond_to_error(self, request: Request, error: Exception) -> Response: ...


_PROTOCOLS: tuple[_ProtocolErrors, ...] = (tfserving, oip)
_CALLS = (predict, embed, model, plots, explain, operations, pages)


def create_app(
    settings: ServiceSettings,
    models: Sequence[LoadedModel],
    loader: EngineLoader,
    desired: DesiredState,
) -> ASGIApp:
    """The whole application, middleware included, which answers with `models`, the default first.

    `loader` loads others, when files change or `desired` says so. Raises StorageFailed.
    """
    health, invoke = _routes_of_a_platform(settings)
    app = _api(health, invoke, keys_needed=bool(settings.api_keys))
    keys = _keys(settings, desired)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        repository = _repository(settings, models, loader, desired)
        await repository.load_kept_versions()
        await repository.join()
        threads = ThreadPool()
        waiting = WaitingBytes(settings.max_waiting_bytes)
        decoder = Decoder(settings.max_image_pixels, settings.max_queue_size, waiting)
        decoder.start()
        explained = ExplainedModels(ExplanationQueue(settings.request_timeout_s))
        app.state.context = Context(
            settings,
            Prediction(repository, decoder, threads),
            explained,
            BodyLimits(settings.max_body_bytes, settings.receive_timeout_s, waiting),
        )
        grpc_server = await _grpc_server(app, settings, keys)
        background = {
            asyncio.create_task(watch_for_stalls(settings.watchdog_timeout_s, lambda: repository.busy_s)),
            asyncio.create_task(_report_device_memory(loader)),
            asyncio.create_task(repository.follow(watch=settings.watch)),
        }
        _reconcile_on_sighup(repository, background)
        yield
        if grpc_server:
            await grpc_server.stop()
        for task in background:
            task.cancel()
        await asyncio.gather(repository.close(LAST_CALL_S), decoder.close(), explained.close())
        threads.close()

    app.router.lifespan_context = lifespan
    guarded = RequestMiddleware(
        FastPath(app, [*predict.router.routes, *invoke.routes]),
        keys,
        respond_to_error,
        access_log=settings.access_log,
        health_route=settings.health_route,
    )
    return Paths(CrossOrigin(guarded, settings.cors_origins), settings.root_path, settings.forwarded_allow_ips)


def load_engine(settings: ServiceSettings, loader: EngineLoader, path: Path) -> Engine:
    """What `loader` makes of the file at `path`; of several models each is named as its file or version folder.

    Raises ModelFileError or StorageFailed.
    """
    started = time.monotonic()
    engine = loader.load(path, given_name(path, settings.model_place, settings.model_name))
    LOADED.set(time.monotonic() - started)
    if not re.match(URL_NAME, engine.card.name):
        log.warning("%s", _NO_URL_NAME.format(engine.card.name))
    log_findings(engine)
    return engine


async def respond_to_error(request: Request, error: Exception) -> Response:
    """`error` in the words of the protocol whose path was asked."""
    for protocol in _PROTOCOLS:
        if protocol.serves(path_within(request.scope)):
            return await protocol.respond_to_error(request, error)
    return await problems.respond_to_error(request, error)


def _routes_of_a_platform(settings: ServiceSettings) -> tuple[APIRouter, APIRouter]:
    """Its health and its predictions, where it asks for them at other paths than we or other systems' protocols do."""
    health, invoke = settings.health_route, settings.predict_route
    if health and is_open(health):
        health = None
    routes = (route for calls in _CALLS for route in calls.router.routes if isinstance(route, APIRoute))
    own = {route.path for route in routes if "POST" in (route.methods or ())} - {"/predict"}  # which answers both
    if invoke and (invoke in own or any(protocol.serves(invoke) for protocol in _PROTOCOLS)):
        invoke = None
    return invocations.router_of(health, None), invocations.router_of(None, invoke)


def _api(health: APIRouter, invoke: APIRouter, *, keys_needed: bool) -> FastAPI:
    """With the calls of a platform: its health is the first, so that nothing else is told at its path without a key."""
    app = FastAPIOffline(
        title="Keras image service",
        summary="What is in this image, how is the model built, and how good is it?",
        description=_DESCRIPTION,
        version=_version(),
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=_TAGS,
        redoc_url=None,  # a page of our own stands there
        generate_unique_id_function=lambda route: route.name,  # short, and as long-lived as a function's name
        redirect_slashes=False,  # no path comes here with one at its end
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
    )
    for kind in (ServiceError, ImageError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, respond_to_error)
    app.include_router(health)
    for routes in (*_CALLS, oip):
        app.include_router(routes.router)
    app.include_router(invoke)
    app.router.routes.append(tfserving.route)
    app.mount("/web", pages.files)
    install_documentation(app, tfserving_documentation.router.routes, keys_needed=keys_needed)
    return app


def _keys(settings: ServiceSettings, desired: DesiredState) -> ApiKeys | None:
    digests = sorted({digest.lower() for digest in settings.api_keys})
    if not digests or not settings.requests_per_minute:
        return ApiKeys(digests) if digests else None
    from service.http.rate_limit import RateLimit  # noqa: PLC0415 - it needs locks of files, which Windows has not

    return ApiKeys(digests, RateLimit(desired.folder / "requests", digests, settings.requests_per_minute).spend)


async def _grpc_server(app: FastAPI, settings: ServiceSettings, keys: ApiKeys | None) -> "GrpcServer | None":
    """What answers gRPC, where it is to be answered."""
    if settings.grpc_port is None:
        return None
    from service.protocols.grpc.server import GrpcServer  # noqa: PLC0415 - its packages may not be installed

    server = GrpcServer(app.state.context, keys, app.title, app.version)
    await server.start()
    on_shutdown(server.begin_to_stop)
    return server


def _repository(
    settings: ServiceSettings, models: Sequence[LoadedModel], loader: EngineLoader, desired: DesiredState
) -> ModelRepository:
    limits = BatchLimits(settings.max_batch_size, settings.max_queue_size, settings.batch_wait_ms / 1000)
    path = settings.model_place
    return ModelRepository(
        models,
        lambda engine, number: ModelRunner(engine, limits, settings.request_timeout_s, number),
        lambda path: load_engine(settings, loader, path),
        path if path.is_dir() and not is_version_folder(path) else None,
        settings.keep_versions,
        settings.request_timeout_s,
        desired,
        settings.max_model_bytes,
        replicated=settings.replicated,
        workers=Workers(desired.folder) if settings.workers > 1 else None,
    )


async def _report_device_memory(loader: EngineLoader) -> None:
    # Of several workers one reads what the others wrote down; a figure that is made when it is read is not among that.
    while True:
        DEVICE_MEMORY.set(loader.device_memory())
        await asyncio.sleep(DEVICE_MEMORY_EVERY_S)


def _reconcile_on_sighup(repository: ModelRepository, background: set[asyncio.Task[None]]) -> None:
    async def reconcile() -> None:
        await repository.reconcile()

    def begin() -> None:
        task = asyncio.create_task(reconcile())
        background.add(task)
        task.add_done_callback(background.discard)

    on_sighup(begin)


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"
