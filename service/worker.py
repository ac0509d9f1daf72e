"""What one worker process runs: the engine that the settings choose, the first models, the application."""

import gc
import logging
import os
import sys
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from service.app import create_app, load_engine
from service.engine_choice import choose_engine
from service.engines.base import DeviceError, EngineLoader
from service.errors import StorageFailed, writing_temporary_files
from service.inference.desired_state import STATE_FOLDER, DesiredState
from service.inference.model_folder import model_places
from service.inference.numbered_versions import LoadedModel, load_newest
from service.inference.version_folders import name_of
from service.logs import LOGGER
from service.metrics import REPLACEMENT, WORKER_RESTARTS, reserve_storage
from service.settings import ServiceSettings

# How long the event loop may keep the inference thread from Python, which it needs to begin the next batch. With
# Python's own 5 ms the model stands still for a third of the time; below 0.5 ms the two threads hinder each other.
SWITCH_INTERVAL_S = 0.0005

log = logging.getLogger(LOGGER)


def from_environment() -> ASGIApp:
    """The application of one worker process, as the environment describes it. Exits if no model can be served."""
    logging.captureWarnings(True)
    if REPLACEMENT in os.environ:  # also of one that cannot start
        WORKER_RESTARTS.inc()
    settings = ServiceSettings()
    desired = DesiredState(Path(os.environ[STATE_FOLDER]))
    try:
        loader = choose_engine(settings, settings.model_sha256)
        loaded = _load_first(settings, loader, desired)
        with writing_temporary_files():
            reserve_storage()
        app = create_app(settings, loaded, loader, desired)
    except (ModelFileError, DeviceError, StorageFailed) as error:
        log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
        sys.exit(STARTUP_FAILURE)
    # TensorFlow's half a million objects live as long as the process. Each full collection that looks at them again
    # stops everything for 100 ms.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return app


def _load_first(settings: ServiceSettings, loader: EngineLoader, desired: DesiredState) -> list[LoadedModel]:
    """The models that the settings name, the default first, but those that somebody unloaded.

    One that cannot be served is left out. Raises ModelFileError where none is left, or where the one that is named the
    default cannot be served; StorageFailed.
    """
    unloaded = {name for name, wish in desired.wishes().items() if wish.unloaded}
    loaded: list[LoadedModel] = []
    failed: ModelFileError | None = None
    places = model_places(settings.model_place, settings.default_model)
    for place in places:
        if loaded and name_of(place) in unloaded:
            continue
        try:
            model = load_newest(place, partial(load_engine, settings, loader))
        except ModelFileError as error:
            if places == [settings.model_place] or name_of(place) == settings.default_model:
                raise
            log.error("%s; the others are served", error)  # noqa: TRY400 - for a person
            failed = error
            continue
        version = model.engine.version if model.number is None else f"{model.number} ({model.engine.version})"
        log.info("serving %s, version %s, on %s", place, version, model.engine.device)
        loaded.append(model)
    if failed and not loaded:
        raise failed
    return loaded
