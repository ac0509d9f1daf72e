"""Converted models on the disk, found again by all that they were made from. Knows neither Keras nor LiteRT.

What is found is used without a look at the model file but for its SHA-256, so nothing is believed that another user
could have put there.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from models.specification import Facts, Source
from service.engines.light.converted import ConversionResult, StaleConversion
from service.errors import StorageFailed, writing_temporary_files
from service.logs import LOGGER
from service.model_files.private_folder import is_ours

try:
    import fcntl
except ImportError:  # on Windows, where each process converts for itself
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(LOGGER)

_UNFINISHED = "making-"
_UNFINISHED_S = 3600.0
_UNUSED_S = 30 * 24 * 3600.0
_LIBRARIES = ("keras", "tensorflow", "tensorflow-cpu", "ai-edge-litert")
_OURS = ("models", "service.model_files", "service.engines")


class CachedConversion(NamedTuple):
    """What became of a model file, and the folder in which the converted model lies."""

    result: ConversionResult
    folder: Path


def key_of(sha256: str, options: Facts, name: str, beside: list[Source]) -> str:
    """What a conversion depends on, as one word: the model file, all that is told of it, and what converts it."""
    told = [options.model_dump(mode="json"), name, [(one.words, one.facts.model_dump(mode="json")) for one in beside]]
    return hashlib.sha256(json.dumps([sha256, told, converters()]).encode()).hexdigest()


@cache
def converters() -> str:
    """The versions of the libraries that convert, and the SHA-256 of our own code that does."""
    found = {}
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    code = hashlib.sha256()
    for package in _OURS:
        for file in sorted(Path(str(files(package))).rglob("*.py")):
            code.update(file.read_bytes())
    return json.dumps([found, code.hexdigest()])


class ConversionCache:
    """Where converted models lie: in `kept`, from one start to the next, or else for as long as the service runs."""

    def __init__(self, kept: Path) -> None:
        """Nothing is made yet."""
        self._kept = kept

    def find(self, key: str, sha256: str) -> CachedConversion | None:
        """What was converted before, if all of it is as it was then."""
        for place in self._places():
            found = _read(place / key, sha256)
            if found:
                return found
        return None

    def make(self, key: str, sha256: str, convert: Callable[[Path], ConversionResult]) -> CachedConversion:
        """What `convert` leaves in the empty folder that it is given; others who want the same wait for it.

        Raises what `convert` raises, and StorageFailed.
        """
        kept, passing = self._places()
        try:
            return _make(kept, key, sha256, convert)
        except StorageFailed as error:
            log.info("%s cannot be used (%s): the converted model is kept for this run only", kept, error.__cause__)
            return _make(passing, key, sha256, convert)

    def _places(self) -> tuple[Path, Path]:
        return self._kept, Path(tempfile.gettempdir()) / "converted"


def _make(place: Path, key: str, sha256: str, convert: Callable[[Path], ConversionResult]) -> CachedConversion:
    with writing_temporary_files():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_ours(place):
            raise PermissionError(errno.EPERM, "others may write there, or it is somebody else's", str(place))
    with _locked(place / f"{key}.lock"):
        found = _read(place / key, sha256)
        if found:
            return found
        _forget_unused(place)
        with writing_temporary_files():
            making = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place))
        try:
            result = convert(making)
            with writing_temporary_files():
                shutil.rmtree(place / key, ignore_errors=True)
                making.rename(place / key)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return CachedConversion(result, place / key)


def _read(folder: Path, sha256: str) -> CachedConversion | None:
    if not (is_ours(folder.parent) and is_ours(folder)):
        return None
    try:
        result = ConversionResult.read(folder, sha256)
    except StaleConversion as error:
        log.warning("%s: the model is converted anew", error)
        return None
    with suppress(OSError):
        os.utime(folder)  # it is in use
    return CachedConversion(result, folder)


def _forget_unused(place: Path) -> None:
    """Remove what no start has used for a month, and what a killed process left unfinished."""
    long_ago = time.time() - _UNUSED_S
    for entry in place.iterdir():
        with suppress(OSError):
            since = long_ago if not entry.name.startswith(_UNFINISHED) else time.time() - _UNFINISHED_S
            if entry.lstat().st_mtime < since:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Whoever else wants the same waits until this is over, or its process has ended. Raises StorageFailed."""
    with writing_temporary_files():
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
