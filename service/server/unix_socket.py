"""A Unix socket: bound where no other process listens, and taken away at the end. Knows no call."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

# As for a port, whoever is on this machine may connect; the rights of the folder say who is.
_RIGHTS = 0o666


@contextmanager
def bound_file(path: Path) -> Iterator[socket.socket]:
    """While this lasts there is a socket at `path`, which does not listen yet.

    One that was left there by a process that is no more is replaced. A lock on a file beside it keeps two processes
    that start at once from doing so with each other's. Raises OSError: EADDRINUSE where another process has it, EEXIST
    where something else is there.
    """
    with _locked(path.with_name(f"{path.name}.lock")):
        _remove_old(path)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
            path.chmod(_RIGHTS)
            try:
                yield bound
            finally:
                path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl  # noqa: PLC0415 - Windows has none

    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use() from error
        yield


def _remove_old(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    with closing(socket.socket(socket.AF_UNIX)) as caller:
        caller.setblocking(False)  # where its queue is full somebody is there, too
        if caller.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise _in_use()
    path.unlink()


def _in_use() -> OSError:
    return OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
