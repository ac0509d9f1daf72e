"""By when what is being explained has to be done. Knows nothing of what it is: one call at a time is answered."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from service.errors import DeadlineExceeded

_END: ContextVar[float] = ContextVar("end", default=math.inf)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """What is done meanwhile has so many seconds, or any number of them for None."""
    before = _END.set(math.inf if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _END.reset(before)


def ensure_time() -> None:
    """To be called between the parts of what takes long. Raises DeadlineExceeded where no time is left."""
    if time.monotonic() >= _END.get():
        raise DeadlineExceeded("explaining this takes longer than a request may")
