"""Long work beside the event loop, on a bounded number of threads. Knows nothing of what is worked on."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from service.errors import DeadlineExceeded, Overloaded

Value = TypeVar("Value")

# Each holds what its work makes, at most a few hundred megabytes of one request; what waits holds its request alone.
THREADS = 2
MOST_WAITING = 32


class ThreadPool:
    """Runs functions that must end by themselves: nobody can end a thread."""

    def __init__(self, threads: int = THREADS, most_waiting: int = MOST_WAITING) -> None:
        """`threads` functions run at once, and `most_waiting` more wait for their turn."""
        self._executor = ThreadPoolExecutor(threads, "large-request")
        self._most = threads + most_waiting
        self._most_waiting = most_waiting
        # Counted until the function has ended, not until its caller has left: so long its thread and memory are taken.
        self._unfinished: set[Future[Any]] = set()

    @property
    def unfinished(self) -> int:
        """How many functions run or wait."""
        return len(self._unfinished)

    async def run(self, work: Callable[[], Value], deadline: float) -> Value:
        """What `work` returns or raises. `deadline` is a time of `time.monotonic()`.

        Raises Overloaded where too much waits already, and DeadlineExceeded where the result is not there in time; then
        work that has begun goes on to its end, and what has not begun never will.
        """
        if self.unfinished >= self._most:
            raise Overloaded(f"{self._most_waiting} large requests wait for a thread; send the request again later")
        future = self._executor.submit(copy_context().run, work)
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise DeadlineExceeded(
                "the request was not read or answered in time; send it again later, or a smaller one"
            ) from None
        finally:
            del future  # what it raised holds this frame, and with it the request

    def close(self) -> None:
        """Run nothing more; does not wait for what runs."""
        self._executor.shutdown(wait=False, cancel_futures=True)
