"""Joins the parts: settings, model, routes, errors. The only place that knows all of them."""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from service.api import explain as inside
from service.api import model, operations, pages, plots, predict
from service.api.openapi import install_documentation
from service.engines.tensorflow import TensorFlowEngine
from service.errors import StorageFailed, install_error_handler, writing_temporary_files
from service.explain.drawing.renderer import Renderer
from service.http.auth import ApiKeys
from service.http.bodies import BodyLimits
from service.http.fast_path import FastPath
from service.http.middleware import RequestMiddleware
from service.inference.batcher import BatchLimits
from service.inference.decoder import Decoder
from service.inference.model_runner import Engine, ModelRunner
from service.inference.repository import ModelRepository, model_files
from service.logs import LOGGER
from service.metrics import DEVICE_MEMORY, LOADED, reserve_storage
from service.model_files.loading import DeviceError, device_memory, limit_threads, load_classifier
from service.protocols.oip import routes as openinference
from service.protocols.tfserving import routes as tfserving
from service.server.reload_signal import on_sighup
from service.server.watchdog import watch_for_stalls
from service.settings import LAST_CALL_S, ServiceSettings

DISTRIBUTION = "keras-image-service"

# How long the event loop may keep the inference thread from Python, which it needs to begin the next batch. With
# Python's own 5 ms the model stands still for a third of the time; below 0.5 ms the two threads hinder each other.
SWITCH_INTERVAL_S = 0.0005

# How old the figure of the GPU's memory may be.
DEVICE_MEMORY_EVERY_S = 5.0

_DESCRIPTION = """
POST an image to `/predict` and read what is in it. The other calls show how the model is built and how good it is.

Every error is a problem document (RFC 9457, `application/problem+json`) whose `detail` says what arrived, what was
expected and what to do.
"""

_TAGS = [
    {"name": "predict", "description": "What is in an image."},
    {"name": "model", "description": "How the model is built, and what its file says of itself."},
    {"name": "plots", "description": "The same in images."},
    {"name": "inside", "description": "What the model sees in an image, and how it comes to its answer."},
    {"name": "operations", "description": "For those who run the service."},
]

log = logging.getLogger(LOGGER)


def create_app(settings: ServiceSettings, *classifiers: Engine) -> FastAPI:
    """The application that answers with `classifiers`, which are loaded and warm, until others take over.

    The first is the default.
    """

    def start(classifier: Engine) -> ModelRunner:
        limits = BatchLimits(settings.max_batch_size, settings.max_queue_size, settings.batch_wait_ms / 1000)
        return ModelRunner(classifier, limits, settings.request_timeout_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.settings = settings
        folder = settings.model_path if settings.model_path.is_dir() else None
        app.state.repository = repository = ModelRepository(
            [(folder / f"{one.card.name}.h5" if folder else settings.model_path, one) for one in classifiers],
            start,
            lambda path: load(settings, path)[0],
            folder,
            settings.keep_versions,
            settings.request_timeout_s,
        )
        app.state.bodies = BodyLimits(settings.max_body_bytes, settings.receive_timeout_s)
        app.state.decoder = Decoder(settings.max_image_pixels)
        app.state.renderer = Renderer()
        background = {
            asyncio.create_task(watch_for_stalls(settings.watchdog_timeout_s, lambda: repository.busy_s)),
            asyncio.create_task(_tell_device_memory()),
        }
        if settings.watch:
            background.add(asyncio.create_task(repository.watch()))
        _load_all_on_sighup(repository, background)
        yield
        for task in background:
            task.cancel()
        await repository.close(LAST_CALL_S)

    app = FastAPIOffline(
        title="Keras image service",
        summary="What is in this image, how is the model built, and how good is it?",
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


def load(settings: ServiceSettings, path: Path) -> tuple[TensorFlowEngine, str]:
    """The classifier in the file at `path`, and where its card comes from; of several models each is named as its file.

    Raises ModelFileError, DeviceError or StorageFailed.
    """
    started = time.monotonic()
    classifier, source = load_classifier(
        path,
        settings.device,
        settings.class_names,
        settings.max_batch_size,
        settings.max_model_bytes,
        settings.model_sha256,
    )
    if settings.model_path.is_dir():
        classifier.card = classifier.card.model_copy(update={"name": path.stem})
    LOADED.set(time.monotonic() - started)
    return classifier, source


def guarded(app: FastAPI, settings: ServiceSettings) -> ASGIApp:
    """`app` behind everything that a request passes before and after it."""
    keys = ApiKeys(settings.api_keys, settings.requests_per_minute) if settings.api_keys else None
    gate = RequestMiddleware(FastPath(app, predict.ENDPOINTS), keys, access_log=settings.access_log)
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
    try:
        classifiers = _load_first(settings)
        with writing_temporary_files():
            reserve_storage()
    except (ModelFileError, DeviceError, StorageFailed) as error:
        log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
        sys.exit(STARTUP_FAILURE)
    app = create_app(settings, *classifiers)
    # TensorFlow's half a million objects live as long as the process. Each full collection that looks at them again
    # stops everything for 100 ms.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return guarded(app, settings)


def _load_first(settings: ServiceSettings) -> list[TensorFlowEngine]:
    """The models that the settings name, the default first. One of the others that cannot be served is left out.

    Raises ModelFileError, DeviceError or StorageFailed.
    """
    classifiers: list[TensorFlowEngine] = []
    for path in model_files(settings.model_path, settings.default_model):
        try:
            classifier, source = load(settings, path)
        except ModelFileError as error:
            if not classifiers:
                raise
            log.error("%s; the others are served", error)  # noqa: TRY400 - for a person
            continue
        names = classifier.card.class_names
        log.info("serving %s, version %s, on %s; %s", path, classifier.version, classifier.device, source)
        log.info("%d classes: %s", len(names), ", ".join(names[:20]) + (", …" if len(names) > 20 else ""))
        classifiers.append(classifier)
    return classifiers


async def _tell_device_memory() -> None:
    # Of several workers one reads what the others wrote down; a figure that is made when it is read is not among that.
    while True:
        DEVICE_MEMORY.set(device_memory())
        await asyncio.sleep(DEVICE_MEMORY_EVERY_S)


def _load_all_on_sighup(repository: ModelRepository, background: set[asyncio.Task[None]]) -> None:
    def begin() -> None:
        task = asyncio.create_task(repository.load_all())
        background.add(task)
        task.add_done_callback(background.discard)

    on_sighup(begin)


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"
