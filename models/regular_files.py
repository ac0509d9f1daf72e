"""Opens files that somebody else may have put there: regular ones only, without waiting. Knows no format.

A FIFO, a device or a socket in a file's place would make who opens or reads it wait for ever, and some files never end:
so nothing but a regular file is read, and never more of it than the reader asks for.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PIECE_BYTES = 1 << 24
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotARegularFileError(OSError):
    """What is at the path is a folder, a FIFO, a device or a socket; `strerror` says which."""


class FileTooLargeError(OSError):
    """There is more in the file than its reader takes."""


def open_regular(path: Path) -> BinaryIO:
    """The regular file at `path`, or where a link there leads, to be read.

    Raises OSError as `open` does, and NotARegularFileError.
    """
    _check(path, path.stat())  # before it is opened, because opening some devices does something
    descriptor = os.open(path, _FLAGS)
    try:
        _check(path, os.fstat(descriptor))  # another may have taken its place since
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def pieces(path: Path, most: int | None = None) -> Iterator[bytes]:
    """What is in the regular file at `path`, piece by piece: as much as there was when it was opened.

    Raises OSError, NotARegularFileError, and FileTooLargeError beyond `most` bytes, before anything is read.
    """
    with open_regular(path) as file:
        left = os.fstat(file.fileno()).st_size
        if most is not None and left > most:
            raise FileTooLargeError(errno.EFBIG, f"it has {left:,} bytes, and at most {most:,} are read", str(path))
        while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece


def read_regular(path: Path, most: int) -> bytes:
    """All that is in the regular file at `path`. Raises what `pieces` does."""
    return b"".join(pieces(path, most))


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((name for fits, name in _KINDS if fits(status.st_mode)), "something else")
    raise NotARegularFileError(errno.EINVAL, f"it is {kind}, not a file", str(path))
