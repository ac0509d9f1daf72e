"""Joins the parts: settings, model, routes, errors. The only place that knows all of them."""

import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from service.errors import install_error_handler
from service.inference.batcher import BatchLimits
from service.inference.classifier import DeviceError, limit_threads, load_classifier
from service.inference.decoder import Decoder
from service.inference.live_model import LiveModel, LoadedClassifier
from service.insight.render import Renderer
from service.logs import LOGGER
from service.routes import inside, model, openinference, operations, pages, plots, predict
from service.routes.documentation import install_documentation
from service.settings import LAST_CALL_S, ServiceSettings
from service.short_way import ShortWay

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
    """The application that answers with `classifier`, which is loaded and warm."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.settings = settings
        limits = BatchLimits(settings.max_batch_size, settings.max_queue_size, settings.batch_wait_ms / 1000)
        app.state.live = LiveModel(classifier, limits, settings.request_timeout_s)
        app.state.decoder = Decoder(settings.max_image_pixels)
        app.state.renderer = Renderer()
        yield
        await app.state.live.close(LAST_CALL_S)

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
    app.mount("/web", pages.files)
    install_documentation(app)
    return app


def from_environment() -> ShortWay:
    """The application of one worker process, as the environment describes it. Exits if the model cannot be served."""
    settings = ServiceSettings()
    limit_threads(settings.inference_threads)
    try:
        classifier, source = load_classifier(
            settings.model_path, settings.device, settings.class_names, settings.max_batch_size
        )
    except (ModelFileError, DeviceError) as error:
        log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
        # uvicorn takes this status as: another worker in this one's place could not start either.
        sys.exit(STARTUP_FAILURE)
    names = classifier.card.class_names
    log.info("serving %s, version %s, on %s; %s", settings.model_path, classifier.version, classifier.device, source)
    log.info("%d classes: %s", len(names), ", ".join(names[:20]) + (", …" if len(names) > 20 else ""))
    app = create_app(settings, classifier)
    # TensorFlow's half a million objects live as long as the process. Each full collection that looks at them again
    # stops everything for 100 ms.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return ShortWay(app, predict.ENDPOINTS)


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"
