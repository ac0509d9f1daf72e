"""Draws each picture of the model once, one at a time, off the event loop. Knows neither Keras nor HTTP."""

import asyncio
from collections.abc import Callable, Hashable

from anyio import to_thread


class Renderer:
    """Keeps what was drawn. Its pictures are few: one for each kind and format of a model's version."""

    def __init__(self) -> None:
        self._drawn: dict[Hashable, bytes] = {}
        # matplotlib is not safe to call from two threads at once.
        self._one_at_a_time = asyncio.Lock()

    async def draw(self, key: Hashable, draw: Callable[[], bytes]) -> bytes:
        """The picture known by `key`: drawn by `draw` on a thread the first time, remembered from then on."""
        async with self._one_at_a_time:
            if key not in self._drawn:
                self._drawn[key] = await to_thread.run_sync(draw)
            return self._drawn[key]
