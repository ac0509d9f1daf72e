"""How often each API key may ask, counted for all workers together. Knows no HTTP.

The counts lie in a small file that the workers share.
"""

import fcntl
import math
import mmap
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from service.errors import TooManyRequests, writing_temporary_files

# The lock is held for microseconds, but by a worker that is stopped meanwhile for as long as that lasts. To miscount by
# one is better than to wait.
_TRIES = 1000
_PER_KEY, _BYTES = 2, 8


class SharedCounts(Storage):
    """Where the `limits` library counts: a file with the count and the end of the window of each key, as floats.

    The lock is the system's, which takes it from a process that ends, however it ends. One that is killed between two
    writes leaves a window that has ended, or a count that is one too low.
    """

    STORAGE_SCHEME = None
    base_exceptions = OSError

    def __init__(self, path: Path, keys: Sequence[str], clock: Callable[[], float]) -> None:
        """The file is made where there is none; all processes must give the same keys. Raises StorageFailed."""
        super().__init__()
        self._clock = clock
        self._places = {key: place * _PER_KEY for place, key in enumerate(keys)}
        size = len(keys) * _PER_KEY * _BYTES
        with writing_temporary_files():
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(self._file, size)
            with suppress(AttributeError):  # not on every system
                os.posix_fallocate(self._file, 0, size)  # who writes where no room is left is killed for it
            self._floats = memoryview(mmap.mmap(self._file, size)).cast("d")

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """The count with `amount` more, in a window of `expiry` seconds that begins with its first request."""
        place, now = self._places[key], self._clock()
        with self._locked():
            if now >= self._floats[place + 1]:
                self._floats[place] = 0
                self._floats[place + 1] = now + expiry
            self._floats[place] += amount
            return int(self._floats[place])

    def get(self, key: str) -> int:
        """The count of the window; 0 where it has ended."""
        return int(self._floats[self._places[key]]) if self._clock() < self.get_expiry(key) else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, by the clock."""
        return self._floats[self._places[key] + 1]

    def check(self) -> bool:
        """Whether the file is there."""
        return os.fstat(self._file).st_nlink > 0

    def reset(self) -> int:
        """End all windows. How many there were."""
        for key in self._places:
            self.clear(key)
        return len(self._places)

    def clear(self, key: str) -> None:
        """End the window of one key."""
        with self._locked():
            self._floats[self._places[key] + 1] = 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        for _ in range(_TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


class RateLimit:
    """The same allowance for each of some keys."""

    def __init__(
        self, path: Path, digests: Sequence[str], per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """So many requests in each minute, which begins with the first of them.

        `path` is a file for all workers of one service, `clock` the same for all of them. Raises StorageFailed.
        """
        self._item, self._clock = RateLimitItemPerMinute(per_minute), clock
        self._counts = SharedCounts(path, [self._item.key_for(digest) for digest in digests], clock)
        self._limiter = FixedWindowRateLimiter(self._counts)

    def spend(self, digest: str) -> None:
        """Count one request with the key of that digest. Raises TooManyRequests."""
        if self._limiter.hit(self._item, digest):
            return
        wait_s = max(0.0, self._counts.get_expiry(self._item.key_for(digest)) - self._clock())
        raise TooManyRequests(
            f"this API key has {self._item.amount} requests a minute, and they are spent; "
            f"go on in {math.ceil(wait_s)} s",
            wait_s,
        )
