"""Draws pictures one at a time, off the event loop. Knows neither Keras nor HTTP."""

from collections.abc import Callable, Hashable

from anyio import Lock, to_thread

from service.errors import Overloaded

MOST_WAITING = 16


class Renderer:
    """Keeps those of its pictures that are few: one for each kind and format of a model's version."""

    def __init__(self) -> None:
        self._drawn: dict[Hashable, bytes] = {}
        # matplotlib is not safe to call from two threads at once.
        self._one_at_a_time = Lock()

    async def draw(self, draw: Callable[[], bytes], key: Hashable = None) -> bytes:
        """What `draw` draws on a thread. With a `key`, only the first time: from then on it is remembered.

        Raises Overloaded where too many wait.
        """
        if key in self._drawn:
            return self._drawn[key]
        if self._one_at_a_time.statistics().tasks_waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} pictures wait to be drawn; send the request again later")
        async with self._one_at_a_time:
            if key in self._drawn:
                return self._drawn[key]
            drawn = await to_thread.run_sync(draw)
            if key is not None:
                self._drawn[key] = drawn
            return drawn
