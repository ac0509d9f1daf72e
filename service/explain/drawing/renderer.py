"""Draws images one at a time, off the event loop. Knows neither Keras nor HTTP."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

from anyio import Lock

from service.errors import Overloaded

MOST_WAITING = 16


class Renderer:
    """Keeps those of its images that are few: one for each kind and format of a model's version."""

    def __init__(self) -> None:
        self._drawn: dict[Hashable, bytes] = {}
        # matplotlib is not safe to call from two threads at once. Always the same one draws: the system's memory
        # allocator keeps what a thread has used for that thread, here some 60 MB.
        self._one_at_a_time = Lock()
        self._thread = ThreadPoolExecutor(1, "renderer")

    async def draw(self, draw: Callable[[], bytes], key: Hashable = None) -> bytes:
        """What `draw` draws on a thread. With a `key`, only the first time: from then on it is remembered.

        Raises Overloaded where too many wait.
        """
        if key in self._drawn:
            return self._drawn[key]
        if self._one_at_a_time.statistics().tasks_waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} images wait to be drawn; send the request again later")
        async with self._one_at_a_time:
            if key in self._drawn:
                return self._drawn[key]
            drawn = await asyncio.get_running_loop().run_in_executor(self._thread, draw)
            if key is not None:
                self._drawn[key] = drawn
            return drawn
