"""Which engine runs a model, by the settings. The only place that knows which there are; knows no HTTP.

Each is imported when it is chosen.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from models.library_notes import library_notes_left_out
from service.engines.base import EngineLoader
from service.model_files.options import facts_of
from service.model_files.snapshot import ModelFileLimits
from service.settings import InferenceSettings


def choose_engine(settings: InferenceSettings, sha256: str | None = None) -> EngineLoader:
    """The engine that `settings` name, set up; it loads no file but the one with that `sha256`, if one is given.

    Raises DeviceError, or ModelFileError for wrong options.
    """
    limits = ModelFileLimits(settings.max_model_bytes, sha256)
    options = facts_of(settings)

    def tensorflow() -> EngineLoader:
        with library_notes_left_out():
            from service.engines.tensorflow import TensorFlowLoader  # noqa: PLC0415 - it takes seconds

        return TensorFlowLoader(settings.device, settings.inference_threads, options, settings.max_batch_size, limits)

    def light(fallback: Callable[[], EngineLoader] | None) -> EngineLoader:
        from service.engines.light.loader import LightLoader  # noqa: PLC0415

        return LightLoader(options, limits, settings.converted_models, settings.inference_threads, fallback)

    match settings.engine:
        case "fake":
            from service.engines.fake import FakeLoader  # noqa: PLC0415

            return FakeLoader(limits, settings.model_name)
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
