"""A folder that only this process uses, removed at its end, or by the next one if the process was killed.

Knows nothing of what is put there. A lock tells who is still at work: the system lets go of it with the process.
"""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.errors import writing_temporary_files

try:
    import fcntl
except ImportError:  # on Windows, where no folder is taken for one that was left behind
    fcntl = None  # type: ignore[assignment]

_LOCK = "in-use.lock"
_YOUNG_S = 60  # a folder that was just made may not be locked yet


@contextmanager
def private_folder(prefix: str = "model-") -> Iterator[Path]:
    """An empty folder for the time being, whose name begins so. Raises StorageFailed where none can be made."""
    remove_left_behind(prefix)
    with writing_temporary_files():
        folder = tempfile.TemporaryDirectory(prefix=prefix)
    with folder:
        place = Path(folder.name)
        with writing_temporary_files():
            lock = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield place
        finally:
            os.close(lock)


def remove_left_behind(prefix: str) -> None:
    """Remove the folders of such names of processes that were killed before they could do so themselves."""
    if not fcntl:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):  # somebody else's, or in use, or removed by another
            if _is_left_behind(folder):
                shutil.rmtree(folder, ignore_errors=True)


def is_ours(folder: Path) -> bool:
    """Whether it is a folder in which nobody but this user and the system's owner can have put anything."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid in (os.geteuid(), 0) and not others_write


def _is_left_behind(folder: Path) -> bool:
    """Whether nobody is at work there any longer. Raises OSError where somebody is, or it is none of our folders."""
    status = folder.lstat()
    if status.st_uid != os.geteuid() or time.time() - status.st_mtime < _YOUNG_S:
        return False
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return stat.S_ISDIR(status.st_mode) and stat.S_ISREG(os.fstat(lock).st_mode)
    finally:
        os.close(lock)
