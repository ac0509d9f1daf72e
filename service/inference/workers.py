"""What each worker of a service has done of what was asked (see `desired_state`). Knows neither HTTP nor an engine.

Each has a file of its own in the folder that all share, and beside it one that it keeps locked: the system lets go of
that with the process, so that nobody waits for a worker that was killed.
"""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from service.errors import DeadlineExceeded, Unavailable, writing_temporary_files

try:
    import fcntl
except ImportError:  # on Windows, where no worker knows of others
    fcntl = None  # type: ignore[assignment]


class Followed(BaseModel):
    """How far a worker is with one model: the wish of `asked_ns` is done, or `error` tells why it cannot be.

    `answers`: the version that answers now, None where there is none.
    """

    model_config = ConfigDict(frozen=True)

    asked_ns: int
    answers: str | None
    error: str | None = None


# How long a call waits for the other workers, and how often it looks.
ALL_FOLLOW_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.05

_FOLLOWED = TypeAdapter(dict[str, Followed])


class Workers:
    """What the other workers tell of themselves, and this one of itself."""

    def __init__(self, folder: Path) -> None:
        """From now on this process is one of the workers in `folder`. Raises StorageFailed."""
        self._folder = folder
        self._own: dict[str, Followed] = {}
        self._place = folder / f"worker-{secrets.token_hex(8)}.txt"
        with writing_temporary_files():
            self._lock = self._place.with_suffix(".lock").open("wb")
            if fcntl:
                fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Be none of them any longer."""
        self._lock.close()
        for own in (self._place, self._place.with_suffix(".lock")):
            own.unlink(missing_ok=True)

    def tell(self, followed: Mapping[str, Followed]) -> None:
        """Let the others know how far this one is with the models of these names. Raises StorageFailed."""
        self._own.update(followed)
        beside = self._place.with_suffix(".new")
        with writing_temporary_files():
            beside.write_bytes(_FOLLOWED.dump_json(self._own))
            beside.replace(self._place)

    def others(self) -> list[dict[str, Followed]]:
        """What each other worker that is alive told last, by the model's name; nothing yet of one that starts."""
        locks = [lock for lock in self._folder.glob("worker-*.lock") if lock.stem != self._place.stem]
        return [_told(lock.with_suffix(".txt")) for lock in locks if _is_alive(lock)]

    async def until_all_follow(self, name: str, asked_ns: int, own_error: Exception | None) -> None:
        """Wait until each worker has done what was asked of the model `name` at `asked_ns`, or cannot.

        This one has, but for `own_error`. Raises Unavailable where only some could, and DeadlineExceeded where some are
        not done after `ALL_FOLLOW_WITHIN_S`.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + ALL_FOLLOW_WITHIN_S
        while True:
            told = [other.get(name) for other in self.others()]
            done = [one for one in told if one is not None and one.asked_ns >= asked_ns]
            if len(done) == len(told):
                break
            if loop.time() > until:
                raise DeadlineExceeded(
                    f"{len(done) + 1} of {len(told) + 1} workers have done it after {ALL_FOLLOW_WITHIN_S:.0f} s; the "
                    "others are at it, and answer as before until then. Send the request again to wait for them"
                )
            await asyncio.sleep(_LOOK_EVERY_S)
        errors = [str(error) for error in (own_error, *(one.error for one in done)) if error is not None]
        if 0 < len(errors) <= len(done):
            raise Unavailable(
                f"{len(errors)} of {len(done) + 1} workers could not do it, and answer as before, while the others "
                f"have done it: {errors[0]}; send the request again, or ask for what was before"
            )


def _is_alive(lock: Path) -> bool:
    if not fcntl:
        return False
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # another one has removed it meanwhile
        return False
    lock.with_suffix(".txt").unlink(missing_ok=True)
    lock.unlink(missing_ok=True)
    return False


def _told(place: Path) -> dict[str, Followed]:
    with suppress(FileNotFoundError):
        return _FOLLOWED.validate_json(place.read_bytes())
    return {}
