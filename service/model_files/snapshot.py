"""A copy of a model file that nobody else can change, once a process of its own has looked into it.

That process runs `vetting`, which therefore imports little. Knows neither Keras nor HTTP.
"""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from models.card import VERSION_DIGITS, ModelFileError
from service.errors import writing_temporary_files
from service.model_files import validation as vetting
from service.model_files.validation import CPU_SECONDS, MEMORY_BYTES, PIECE_BYTES

WALL_SECONDS = 60


@contextmanager
def snapshot(path: Path, max_bytes: int, sha256: str | None) -> Iterator[tuple[Path, str]]:
    """A copy of the model file that nobody else can change, and its version, once it has been looked into.

    Raises ModelFileError for a file that is missing, larger than `max_bytes`, of another digest than `sha256`, or that
    holds what a model for images has no need of.
    """
    with writing_temporary_files():
        folder = TemporaryDirectory(prefix="model-")
    with folder:
        copy = Path(folder.name) / "model.h5"
        digest = _copy(path, copy, max_bytes)
        if sha256 is not None and digest != sha256.lower():
            raise ModelFileError(f"{path} has the SHA-256 {digest}, expected {sha256}; see where it came from")
        _look_into(path, copy, max_bytes)
        yield copy, digest[:VERSION_DIGITS]


def _copy(path: Path, copy: Path, max_bytes: int) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as source:
            while piece := source.read(PIECE_BYTES):
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
        raise ModelFileError(f"{path} cannot be copied to be looked into: {error.strerror or error}") from error
    return digest.hexdigest()


def _append(copy: Path, piece: bytes) -> None:
    with writing_temporary_files(), copy.open("ab") as file:
        file.write(piece)


def _look_into(path: Path, copy: Path, max_bytes: int) -> None:
    command = [sys.executable, "-m", vetting.__name__, str(copy), str(max_bytes)]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=WALL_SECONDS, check=False)  # noqa: S603 - our own module
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"{path} is refused: to look into it took more than {WALL_SECONDS} s") from None
    if finished.returncode == 0:
        return
    reason = finished.stdout.strip() or f"to look into it took more than {MEMORY_BYTES >> 20} MiB or {CPU_SECONDS} s"
    raise ModelFileError(f"{path} is refused: {reason}")
