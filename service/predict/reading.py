"""Reads picture files; what cannot be read is a problem of its own row. Knows no picture format and no model."""

import os
from pathlib import Path

from models.regular_files import FileTooLargeError, read_regular
from service.predict.answerer import Problem
from service.predict.journal import Version

_NO_FILE = Version(-1, -1)


def version_of(path: str) -> Version:
    """Which content the file has now."""
    try:
        status = os.stat(path)  # noqa: PTH116 - once for each of a million files
    except (OSError, ValueError):
        return _NO_FILE
    return Version(status.st_size, status.st_mtime_ns)


def read_picture(path: str, most_bytes: int) -> bytes | Problem:
    """The bytes of the file at `path`, or why there are none."""
    try:
        content = read_regular(Path(path), most_bytes)
    except FileTooLargeError as error:
        return Problem("too large", f"{error.strerror} (--max-body-bytes)")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in a name
        return Problem("unreadable", f"the file cannot be read: {getattr(error, 'strerror', None) or error}")
    return content or Problem("empty", "the file is empty: it has 0 bytes")
