"""Joins the parts: settings, model, routes, errors. The only place that knows all of them."""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from service.errors import install_error_handler
from service.gate import Gate
from service.inference.batcher import BatchLimits
from service.inference.classifier import Classifier
from service.inference.decoder import Decoder
from service.inference.live_model import LiveModel, LoadedClassifier
from service.inference.loading import DeviceError, device_memory, limit_threads, load_classifier
from service.inference.models import Models
from service.insight.render import Renderer
from service.keys import KeyRing
from service.logs import LOGGER
from service.metrics import DEVICE_MEMORY, LOADED
from service.routes import inside, model, openinference, operations, pages, plots, predict, tfserving
from service.routes.documentation import install_documentation
from service.routes.upload import Bodies
from service.settings import LAST_CALL_S, ServiceSettings
from service.short_way import ShortWay
from service.sighup import on_sighup

DISTRIBUTION = "keras-image-service"

# How long the event loop may keep the network's thread from Python, which it needs to begin the next batch. With
# Python's own 5 ms the network stands still for a third of the time; below 0.5 ms the two threads hinder each other.
SWITCH_INTERVAL_S = 0.0005

_DESCRIPTION = """
POST a picture to `/predict` and read what is in it. The other calls show how the network is built and how good it is.

Every error is a problem document (RFC 9457, `application/problem+json`) whose `detail` says what arrived, what was
expected and what to do.
"""

_TAGS = [
    {"name": "predict", "description": "What is in a picture."},
    {"name": "model", "description": "How the network is built, and what its file says of itself."},
    {"name": "plots", "description": "The same in pictures."},
    {"name": "inside", "description": "What the network sees in a picture, and how it comes to its answer."},
    {"name": "operations", "description": "For those who run the service."},
]

log = logging.getLogger(LOGGER)


def create_app(settings: ServiceSettings, classifier: LoadedClassifier) -> FastAPI:
    """The application that answers with `classifier`, which is loaded and warm, until another one takes over."""

    def start(classifier: LoadedClassifier) -> LiveModel:
        limits = BatchLimits(settings.max_batch_size, settings.max_queue_size, settings.batch_wait_ms / 1000)
        return LiveModel(classifier, limits, settings.request_timeout_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.settings = settings
        app.state.models = models = Models(
            classifier,
            start,
            lambda: load(settings)[0],
            settings.model_path,
            settings.keep_versions,
            settings.request_timeout_s,
        )
        app.state.bodies = Bodies(settings.max_body_bytes, settings.receive_timeout_s)
        app.state.decoder = Decoder(settings.max_image_pixels)
        app.state.renderer = Renderer()
        background = set()
        if settings.watch:
            background.add(asyncio.create_task(models.watch()))
        _take_over_on_sighup(models, background)
        yield
        for task in background:
            task.cancel()
        await models.close(LAST_CALL_S)

    app = FastAPIOffline(
        title="Keras image service",
        summary="What is in this picture, how is the network built, and how good is it?",
        description=_DESCRIPTION,
        version=_version(),
        openapi_tags=_TAGS,
        lifespan=lifespan,
        redoc_url=None,  # a page of our own stands there
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
    )
    install_error_handler(app)
    for routes in (predict, model, plots, inside, operations, pages, openinference):
        app.include_router(routes.router)
    app.router.routes.append(tfserving.route)
    app.mount("/web", pages.files)
    install_documentation(app)
    return app


def load(settings: ServiceSettings) -> tuple[Classifier, str]:
    """The classifier that the settings name, and where its card comes from. Raises ModelFileError or DeviceError."""
    return load_classifier(
        settings.model_path,
        settings.device,
        settings.class_names,
        settings.max_batch_size,
        settings.max_model_bytes,
        settings.model_sha256,
    )


def guarded(app: FastAPI, settings: ServiceSettings) -> ASGIApp:
    """`app` behind everything that a request passes before and after it."""
    keys = KeyRing(settings.api_keys, settings.requests_per_minute) if settings.api_keys else None
    gate = Gate(ShortWay(app, predict.ENDPOINTS), keys, access_log=settings.access_log)
    if not settings.cors_origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["X-Request-ID", "Model-Version", "Retry-After"],
    )


def from_environment() -> ASGIApp:
    """The application of one worker process, as the environment describes it. Exits if the model cannot be served."""
    settings = ServiceSettings()
    limit_threads(settings.inference_threads)
    started = time.monotonic()
    try:
        classifier, source = load(settings)
    except (ModelFileError, DeviceError) as error:
        log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
        # uvicorn takes this status as: another worker in this one's place could not start either.
        sys.exit(STARTUP_FAILURE)
    LOADED.set(time.monotonic() - started)
    DEVICE_MEMORY.set_function(device_memory)
    names = classifier.card.class_names
    log.info("serving %s, version %s, on %s; %s", settings.model_path, classifier.version, classifier.device, source)
    log.info("%d classes: %s", len(names), ", ".join(names[:20]) + (", …" if len(names) > 20 else ""))
    app = create_app(settings, classifier)
    # TensorFlow's half a million objects live as long as the process. Each full collection that looks at them again
    # stops everything for 100 ms.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return guarded(app, settings)


def _take_over_on_sighup(models: Models, background: set[asyncio.Task[None]]) -> None:
    async def take_over() -> None:
        with suppress(ModelFileError):  # it is in the log
            await models.take_over()

    def begin() -> None:
        task = asyncio.create_task(take_over())
        background.add(task)
        task.add_done_callback(background.discard)

    on_sighup(begin)


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"
