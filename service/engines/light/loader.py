"""From a model file to the light engine: converted before, or by a process that ends with its work.

Where a model cannot be converted, or does not answer as Keras does, another engine may run it. Knows no TensorFlow.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from models.card import ModelFileError
from models.printable import printable
from models.reasons import first_line
from models.specification import Facts
from service.engines.base import Engine, EngineLoader
from service.engines.light import converted
from service.engines.light.cache import CachedConversion, ConversionCache, key_of
from service.engines.light.converted import MODEL, ConversionRequest, ConversionResult, StaleConversion
from service.engines.light.engine import LightEngine
from service.errors import StorageFailed, writing_temporary_files
from service.logs import LOGGER
from service.model_files.beside import sources_beside
from service.model_files.snapshot import ModelFileLimits, check_digest, digest_of_file
from service.model_files.source import ModelSource, hold, path_of
from service.model_files.validation.formats import check_quickly

log = logging.getLogger(LOGGER)

CONVERTER = "service.engines.light.converter"
_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
_MOST_SHOWN = 300


class LightLoader:
    """Converts model files, or finds what was converted before, and loads that."""

    def __init__(
        self,
        options: Facts,
        limits: ModelFileLimits,
        kept: Path,
        threads: int = 1,
        fallback: Callable[[], EngineLoader] | None = None,
    ) -> None:
        """Converted models are kept in the folder `kept`; each forward pass uses `threads` threads.

        `options` count before what a file says of itself. What this engine cannot run is loaded by what `fallback`
        sets up, the first time that it is needed.
        """
        self._options, self._limits, self._threads = options, limits, threads
        self._cache = ConversionCache(kept)
        self._set_up_fallback = fallback
        self._fallback: EngineLoader | None = None

    def load(self, path: Path, name: str | None = None) -> Engine:
        """The model in the file at `path`, warm. Raises ModelFileError, StorageFailed: see `EngineLoader`."""
        source, (result, folder) = self.converted(path, name)
        if result.model is None:
            return self._loaded_otherwise(path, name, str(result.reason))
        try:
            engine = LightEngine(result.model, folder / MODEL, result.version, self._threads, source)
        except (ValueError, RuntimeError, OSError) as error:
            return self._loaded_otherwise(path, name, f"what was converted cannot be run ({first_line(error)})")
        engine.warm()
        return engine

    def converted(self, path: Path, name: str | None = None) -> tuple[ModelSource, CachedConversion]:
        """The file at `path`, held open, and what becomes of it; raises as `load` does."""
        check_quickly(path)
        options = self._options if name is None else self._options.model_copy(update={"name": name})
        source, sha256 = self._held(path)
        key = key_of(sha256, options, path.stem, sources_beside(path))

        def convert(folder: Path) -> ConversionResult:
            log.info("%s is being converted for the light engine, which takes some seconds and is kept", path)
            max_bytes = self._limits.max_bytes
            request = ConversionRequest(path=path, folder=folder, options=options, max_bytes=max_bytes, sha256=sha256)
            return run_converter(request)

        try:
            return source, self._cache.find(key, sha256) or self._cache.make(key, sha256, convert)
        except ModelFileError:
            _, now = self._held(path)
            if now == sha256:
                raise
        return self.converted(path, name)  # another file has taken its place meanwhile

    def device_memory(self) -> int:
        """Bytes of the device's own memory that the other engine uses."""
        return self._fallback.device_memory() if self._fallback else 0

    def _held(self, path: Path) -> tuple[ModelSource, str]:
        """The file at `path`, and its SHA-256 in hex. Raises ModelFileError also where it is not the one allowed."""
        source = hold(path, self._limits.max_bytes)
        if source is None:
            raise ModelFileError(f"{path} cannot be read; name a model file that can be")
        digest = digest_of_file(path, self._limits.max_bytes, opened=path_of(source.fileno()))
        check_digest(path, digest, self._limits)
        return source, digest

    def _loaded_otherwise(self, path: Path, name: str | None, reason: str) -> Engine:
        if self._set_up_fallback is None:
            raise ModelFileError(f"{path}: the light engine cannot run it: {reason}; use --engine auto")
        log.warning("%s: TensorFlow runs it and not the light engine: %s", path, reason)
        if self._fallback is None:
            self._fallback = self._set_up_fallback()
        return self._fallback.load(path, name)


def run_converter(request: ConversionRequest) -> ConversionResult:
    """What comes of `request`, in a process that ends with this one. Raises ModelFileError, StorageFailed."""
    with writing_temporary_files():
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed below
    with errors:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-X", "utf8", "-m", CONVERTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | _ENVIRONMENT,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # so that it can be ended together with what it starts
        )
        with process:
            try:
                said = _answer(process, request)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        match process.returncode:
            case converted.REFUSED:
                raise ModelFileError(said)
            case converted.NO_STORAGE:
                raise StorageFailed(OSError(int(said), os.strerror(int(said))))
            case status if status > 0:
                raise ModelFileError(f"{request.path} cannot be converted ({_last_line(errors)}); see docs/engines.md")
    try:
        return ConversionResult.read(request.folder, request.sha256)
    except StaleConversion:
        raise ModelFileError(
            f"{request.path} is refused: to run it once took more memory or time than a model of its size may take"
        ) from None


def _last_line(errors: BinaryIO) -> str:
    errors.seek(0)
    *_, last = errors.read().decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
    return printable(last[:_MOST_SHOWN])


def _answer(process: subprocess.Popen[str], request: ConversionRequest) -> str:
    """What it says once it has ended; it ends at once where our end of its standard input is closed."""
    assert process.stdin  # noqa: S101 - both are pipes
    assert process.stdout  # noqa: S101
    with suppress(BrokenPipeError):
        process.stdin.write(request.model_dump_json() + "\n")
        process.stdin.flush()
    said = process.stdout.read()
    process.wait()
    return said
