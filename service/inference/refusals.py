"""Counts each model file that is refused once, however often and by how many workers it is looked at. Knows no HTTP."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from service.metrics import MODEL_RELOADS, SHARED_FOLDER

# Of one process, which shares no folder.
_counted: dict[Path, str] = {}


def count_refused(place: Path) -> None:
    """Count that what is at `place` now is refused, unless that was counted already."""
    if _is_first(place, _state_of(place)):
        MODEL_RELOADS.labels("refused").inc()


def _is_first(place: Path, state: str) -> bool:
    shared = os.environ.get(SHARED_FOLDER)
    if shared is None:
        before, _counted[place] = _counted.get(place), state
        return before != state
    # All workers try to make the same file, and one of them does.
    begin = f"refused-{_digest(str(place))}-"
    marker = Path(shared) / f"{begin}{state}"
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:  # no room: counted too often is better than not at all
        return True
    with suppress(OSError):
        for earlier in Path(shared).glob(f"{begin}*"):
            if earlier != marker:
                earlier.unlink()
    return True


def _state_of(place: Path) -> str:
    """Another one once the file, or the folder of a version, is another or was written to."""
    try:
        status = place.stat()
    except OSError:
        return "missing"
    return _digest(f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]
