"""The file that a model was loaded from, held open as long as the model: another one may take its place meanwhile.

A file that was replaced is there until the last who has it open closes it. Knows nothing of what is in it.
"""

import os
import weakref
from pathlib import Path

from models.file_version import file_version
from models.regular_files import open_regular


class ModelSource:
    """An open model file, and the largest one that is loaded, in bytes."""

    def __init__(self, descriptor: int, max_bytes: int) -> None:
        """It owns `descriptor` from now on."""
        self._descriptor, self.max_bytes = descriptor, max_bytes
        self.close = weakref.finalize(self, os.close, descriptor)
        """Let go of the file; done, too, where nobody has this any longer."""

    def fileno(self) -> int:
        """Its file descriptor. Raises ValueError once it is closed."""
        if not self.close.alive:
            raise ValueError("the model file was closed together with its model")
        return self._descriptor


def hold(path: Path, max_bytes: int) -> ModelSource | None:
    """The regular file at `path`, opened; None where there is none or it cannot be: loading it tells why."""
    try:
        with open_regular(path) as file:
            return ModelSource(os.dup(file.fileno()), max_bytes)
    except OSError:
        return None


def path_of(descriptor: int) -> Path:
    """A path by which this process opens again what it has open as `descriptor`, whatever became of its name."""
    own = Path("/proc/self/fd")
    return (own if own.is_dir() else Path("/dev/fd")) / str(descriptor)


def version_of(descriptor: int) -> str | None:
    """The version of the open file, as `file_version`; None where it cannot be read."""
    try:
        return file_version(path_of(descriptor))
    except OSError:
        return None
