"""A copy of a model file that nobody else can change, validated in a process of its own. Knows neither Keras nor HTTP.

That process runs `validation`, which therefore imports little.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from models.card import VERSION_DIGITS, ModelFileError
from service.errors import StorageFailed, writing_temporary_files
from service.model_files.validation import process
from service.model_files.validation.formats import refuse_folder
from service.model_files.validation.process import HDF5_NAME, KERAS_NAME, LABELS_NAME, MEMORY_SPENT, NO_STORAGE

WALL_SECONDS = 60
_PIECE_BYTES = 1 << 24


class ModelFileLimits(NamedTuple):
    """The largest model file that is loaded, and the only SHA-256 in hex that it may have, if there is only one."""

    max_bytes: int = 1 << 30
    sha256: str | None = None


class Snapshot(NamedTuple):
    """What may be loaded of a model file."""

    path: Path
    """A private copy: `model.h5` or `model.keras`, by what it is. A `.keras` is written anew, without its training."""
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
    max_bytes, sha256 = limits
    refuse_folder(path)
    with writing_temporary_files():
        folder = TemporaryDirectory(prefix="model-")
    with folder:
        place = Path(folder.name)
        digest = _copy(path, place / "original", max_bytes)
        if sha256 is not None and digest != sha256.lower():
            raise ModelFileError(f"{path} has the SHA-256 {digest}, expected {sha256}; see where it came from")
        _validate(path, place / "original", max_bytes)
        keras, labels = place / KERAS_NAME, place / LABELS_NAME
        yield Snapshot(
            keras if keras.exists() else place / HDF5_NAME,
            digest[:VERSION_DIGITS],
            tuple(json.loads(labels.read_text("utf-8"))) if labels.exists() else None,
        )


def _copy(path: Path, copy: Path, max_bytes: int) -> str:
    digest, size = hashlib.sha256(), 0
    _append(copy, b"")  # an empty file has no piece
    try:
        with path.open("rb") as source:
            while piece := source.read(_PIECE_BYTES):
                size += len(piece)
                if size > max_bytes:
                    raise ModelFileError(f"{path} has more than the {max_bytes:,} bytes of --max-model-bytes")
                digest.update(piece)
                _append(copy, piece)
    except FileNotFoundError:
        raise ModelFileError(
            f"there is no model file at {path}; train one with `make train`, or name another file"
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be copied to be validated: {error.strerror or error}") from error
    return digest.hexdigest()


def _append(copy: Path, piece: bytes) -> None:
    with writing_temporary_files(), copy.open("ab") as file:
        file.write(piece)


def _validate(path: Path, copy: Path, max_bytes: int) -> None:
    command = [sys.executable, "-X", "utf8", "-m", process.__name__, str(copy), str(max_bytes)]
    try:
        finished = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"{path} is refused: to validate it took more than {WALL_SECONDS} s") from None
    if finished.returncode == 0:
        return
    if finished.returncode == NO_STORAGE:
        cause = int(finished.stdout)
        raise StorageFailed(OSError(cause, os.strerror(cause)))
    raise ModelFileError(f"{path} is refused: {finished.stdout.strip() or MEMORY_SPENT}")
