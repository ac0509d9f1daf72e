"""What one worker process runs: the engine that the settings choose, the first models, the application.

The only place that knows which engines there are; each is imported when it is chosen.
"""

import gc
import logging
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from service.app import create_app, load_engine
from service.engines.base import DeviceError, Engine, EngineLoader
from service.errors import StorageFailed, writing_temporary_files
from service.inference.desired_state import STATE_FOLDER, DesiredState
from service.inference.model_folder import model_files
from service.logs import LOGGER
from service.metrics import reserve_storage
from service.model_files.options import facts_of
from service.model_files.snapshot import ModelFileLimits
from service.settings import ServiceSettings

# How long the event loop may keep the inference thread from Python, which it needs to begin the next batch. With
# Python's own 5 ms the model stands still for a third of the time; below 0.5 ms the two threads hinder each other.
SWITCH_INTERVAL_S = 0.0005

log = logging.getLogger(LOGGER)


def from_environment() -> ASGIApp:
    """The application of one worker process, as the environment describes it. Exits if no model can be served."""
    settings = ServiceSettings()
    desired = DesiredState(Path(os.environ[STATE_FOLDER]))
    try:
        loader = choose_engine(settings)
        engines = _load_first(settings, loader, desired)
        with writing_temporary_files():
            reserve_storage()
        app = create_app(settings, engines, loader, desired)
    except (ModelFileError, DeviceError, StorageFailed) as error:
        log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
        sys.exit(STARTUP_FAILURE)
    # TensorFlow's half a million objects live as long as the process. Each full collection that looks at them again
    # stops everything for 100 ms.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return app


def choose_engine(settings: ServiceSettings) -> EngineLoader:
    """The engine that `settings` name, set up. Raises DeviceError, or ModelFileError for wrong options."""
    limits = ModelFileLimits(settings.max_model_bytes, settings.model_sha256)
    options = facts_of(settings)

    def tensorflow() -> EngineLoader:
        from service.engines.tensorflow import TensorFlowLoader  # noqa: PLC0415 - it takes seconds

        return TensorFlowLoader(settings.device, settings.inference_threads, options, settings.max_batch_size, limits)

    def light(fallback: Callable[[], EngineLoader] | None) -> EngineLoader:
        from service.engines.light.loader import LightLoader  # noqa: PLC0415

        return LightLoader(options, limits, settings.converted_models, settings.inference_threads, fallback)

    match settings.engine:
        case "fake":
            from service.engines.fake import FakeLoader  # noqa: PLC0415

            return FakeLoader(limits)
        case "tensorflow":
            return tensorflow()
        case "light":
            return light(None)
    if settings.device == "gpu" or (settings.device == "auto" and _has_gpu()) or not _has_litert():
        return tensorflow()
    return light(tensorflow)


def _has_gpu() -> bool:
    """Whether there is a GPU and what TensorFlow needs for it, without TensorFlow's seconds to find out."""
    return Path("/dev/nvidiactl").exists() and find_spec("nvidia") is not None


def _has_litert() -> bool:
    """There are processors and versions of Python for which it is not made."""
    return find_spec("ai_edge_litert") is not None


def _load_first(settings: ServiceSettings, loader: EngineLoader, desired: DesiredState) -> list[Engine]:
    """The models that the settings name, the default first, but those that somebody unloaded.

    One that cannot be served is left out. Raises ModelFileError where none is left, or where the one that is named the
    default cannot be served; StorageFailed.
    """
    unloaded = {name for name, wish in desired.wishes().items() if wish.unloaded}
    engines: list[Engine] = []
    failed: ModelFileError | None = None
    for path in model_files(settings.model_path, settings.default_model):
        if engines and path.stem in unloaded:
            continue
        try:
            engine = load_engine(settings, loader, path)
        except ModelFileError as error:
            if not settings.model_path.is_dir() or path.stem == settings.default_model:
                raise
            log.error("%s; the others are served", error)  # noqa: TRY400 - for a person
            failed = error
            continue
        log.info("serving %s, version %s, on %s", path, engine.version, engine.device)
        engines.append(engine)
    if failed and not engines:
        raise failed
    return engines
