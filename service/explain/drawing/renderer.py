"""Draws one thing at a time, off the event loop. Knows neither Keras nor HTTP."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from anyio import Lock

from service.errors import Overloaded

MOST_WAITING = 16


class Renderer:
    """The one thread that draws."""

    def __init__(self) -> None:
        # matplotlib is not safe to call from two threads at once. Always the same one draws: the system's memory
        # allocator keeps what a thread has used for that thread, here some 60 MB.
        self._one_at_a_time = Lock()
        self._thread = ThreadPoolExecutor(1, "renderer")

    async def draw(self, draw: Callable[[], bytes]) -> bytes:
        """What `draw` returns or raises, called on the thread. Raises Overloaded where too many wait."""
        if self._one_at_a_time.statistics().tasks_waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} drawings wait to be made; send the request again later")
        async with self._one_at_a_time:
            return await asyncio.get_running_loop().run_in_executor(self._thread, draw)
