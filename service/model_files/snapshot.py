"""A copy of a model file that nobody else can change, validated in a process of its own. Knows neither Keras nor HTTP.

Nothing of the file is parsed here, only copied: what is parsed later is what that process wrote. It runs `validation`,
which therefore imports little.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from models.card import ModelFileError
from models.file_version import VERSION_DIGITS, sha256_of
from models.regular_files import FileTooLargeError
from service.errors import StorageFailed, writing_temporary_files
from service.model_files.private_folder import private_folder
from service.model_files.validation import process
from service.model_files.validation.formats import check_quickly
from service.model_files.validation.process import HDF5_NAME, KERAS_NAME, LABELS_NAME, MEMORY_SPENT, NO_STORAGE

WALL_SECONDS = 60
_CRASHES = {-signal.SIGSEGV, -signal.SIGABRT, -getattr(signal, "SIGBUS", signal.SIGSEGV), -signal.SIGFPE}
_CRASHED = "the library that reads it crashed at what is in it, in a process of its own; copy or download it again"
# HDF5 would look for more ways to unpack in folders that the environment names; it is told to load none.
_NO_PLUGINS = {"HDF5_PLUGIN_PRELOAD": "::"}


class ModelFileLimits(NamedTuple):
    """The largest model file that is loaded, and the only SHA-256 in hex that it may have, if there is only one."""

    max_bytes: int = 1 << 30
    sha256: str | None = None


class Snapshot(NamedTuple):
    """What may be loaded of a model file."""

    path: Path
    """A private copy, `model.h5` or `model.keras` by what the file is, written anew: only what Keras 3 needs to load
    the model, as it takes it, and nothing of its training."""
    version: str
    """The first 12 hex digits of the SHA-256 of the file as it was given, also where that is a zip around a model."""
    labels: tuple[str, ...] | None
    """The class names in the labels.txt of a zip from Teachable Machine, without their numbers; else None."""


@contextmanager
def snapshot(path: Path, limits: ModelFileLimits) -> Iterator[Snapshot]:
    """A copy of the model file that nobody else can change, once it has been validated.

    The file is HDF5, a `.keras`, or the zip of Teachable Machine's Keras export, whatever its name. Raises
    ModelFileError for one that is missing, beyond the `limits`, of another kind, or that holds what a model for images
    has no need of; StorageFailed where the copy cannot be written.
    """
    max_bytes = limits.max_bytes
    check_quickly(path)
    with private_folder() as place:
        digest = copy_bounded(path, place / "original", max_bytes)
        check_digest(path, digest, limits)
        _validate(path, place / "original", max_bytes)
        keras, labels = place / KERAS_NAME, place / LABELS_NAME
        yield Snapshot(
            keras if keras.exists() else place / HDF5_NAME,
            digest[:VERSION_DIGITS],
            tuple(json.loads(labels.read_text("utf-8"))) if labels.exists() else None,
        )


def check_digest(path: Path, sha256: str, limits: ModelFileLimits) -> None:
    """Raise ModelFileError where the SHA-256 of the file at `path`, in hex, is not the one allowed."""
    if limits.sha256 is not None and sha256 != limits.sha256.lower():
        raise ModelFileError(f"{path} has the SHA-256 {sha256}, expected {limits.sha256}; see where it came from")


def copy_bounded(path: Path, copy: Path, max_bytes: int) -> str:
    """Copy the file at `path` to a new one, and return its SHA-256 in hex. Raises ModelFileError, StorageFailed."""
    _append(copy, b"")  # an empty file has no piece
    return digest_of_file(path, max_bytes, lambda piece: _append(copy, piece))


def digest_of_file(path: Path, max_bytes: int, use: Callable[[bytes], object] = len, opened: Path | None = None) -> str:
    """The SHA-256, in hex, of the file at `path`, or of that one as it is `opened`; `use` is given all pieces of it.

    Raises ModelFileError for more than `max_bytes`, and what `use` raises.
    """
    try:
        return sha256_of(opened or path, max_bytes, use)
    except FileTooLargeError as error:
        raise ModelFileError(f"{path} has more than the {max_bytes:,} bytes of --max-model-bytes") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error


def _append(copy: Path, piece: bytes) -> None:
    with writing_temporary_files(), copy.open("ab") as file:
        file.write(piece)


def _validate(path: Path, copy: Path, max_bytes: int) -> None:
    command = [sys.executable, "-X", "utf8", "-m", process.__name__, str(copy), str(max_bytes)]
    try:
        finished = subprocess.run(  # noqa: S603 - our own module
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=os.environ | _NO_PLUGINS,
            encoding="utf-8",
            errors="replace",
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"{path} is refused: to validate it took more than {WALL_SECONDS} s") from None
    if finished.returncode == 0:
        return
    if finished.returncode == NO_STORAGE:
        cause = int(finished.stdout)
        raise StorageFailed(OSError(cause, os.strerror(cause)))
    unsaid = _CRASHED if finished.returncode in _CRASHES else MEMORY_SPENT
    raise ModelFileError(f"{path} is refused: {finished.stdout.strip() or unsaid}")
