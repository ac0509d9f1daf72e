"""Model files that change while the service runs. Knows no model: only when a file is written completely."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from stat import S_ISREG

from service.inference.version_folders import signed_files

WATCH_EVERY_S = 1.0

_Signature = tuple[tuple[Path, int, int, int], ...] | None


async def watch_files(files: Callable[[], dict[str, Path]], reconcile: Callable[[str], Awaitable[None]]) -> None:
    """Until cancelled call `reconcile` for each name of `files` whose file changes, once it does so no longer."""
    seen = {name: _signature(path) for name, path in files().items()}
    known: dict[str, _Signature] = {}  # they may have changed since they were loaded; if not, nothing is done
    while True:
        await asyncio.sleep(WATCH_EVERY_S)
        before, seen = seen, {name: _signature(path) for name, path in files().items()}
        for name, signature in seen.items():
            if signature is None or signature != before.get(name) or signature == known.get(name):
                continue  # not there, still being written, or known
            known[name] = signature
            await reconcile(name)
            place = files().get(name)
            if place is None or _signature(place) != signature:
                del known[name]  # what was loaded may be of either moment


def _signature(place: Path) -> _Signature:
    """How all that belongs to the model at `place` looks; None where there is nothing."""
    return tuple((path, *found) for path in signed_files(place) if (found := _status(path))) or None


def _status(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # What is no file is as if it were not there: the next look would find a FIFO or a device as it was.
    return (status.st_ino, status.st_size, status.st_mtime_ns) if S_ISREG(status.st_mode) else None
