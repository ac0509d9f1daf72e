"""The model that answers now, and those that did before it: a new one takes over without anybody noticing.

Knows neither Keras nor HTTP.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from anyio import to_thread

from models.card import ModelFileError, file_version
from service.errors import NotHere
from service.inference.live_model import LiveModel, LoadedClassifier
from service.logs import LOGGER
from service.metrics import LOADED, MODEL, TAKEOVERS

log = logging.getLogger(LOGGER)

# How often a watched file is looked at.
WATCH_EVERY_S = 1.0


class Models:
    """One name, and under it the model that answers and up to `keep` earlier ones.

    All methods belong to the event loop.
    """

    def __init__(
        self,
        first: LoadedClassifier,
        start: Callable[[LoadedClassifier], LiveModel],
        load: Callable[[], LoadedClassifier],
        path: Path,
        keep: int,
        grace_s: float,
    ) -> None:
        """`start` puts a classifier behind a queue; `load` makes one of the file at `path`, on a thread.

        A model that was replaced goes on answering what it was asked, for at least `grace_s`. Earlier models stay
        loaded until `keep` others came after them.
        """
        self._start, self._load, self._path = start, load, path
        self._keep, self._grace_s = keep, grace_s
        self._one_at_a_time = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self.earlier: deque[LiveModel] = deque()
        self.live = start(first)
        self._announce()

    @property
    def loaded(self) -> tuple[LiveModel, ...]:
        """The model that answers and the earlier ones that are kept, the latest first."""
        return self.live, *self.earlier

    def version(self, version: str) -> LiveModel:
        """The model of that version, if it answers or is still kept. Raises NotHere, which lists those there are."""
        for model in self.loaded:
            if model.version == version:
                return model
        raise NotHere(
            f"version {version!r:.40} is not here; there are {', '.join(model.version for model in self.loaded)}"
        )

    async def take_over(self) -> LiveModel:
        """Load the file anew, and let it answer from now on; if anything is wrong with it, nothing changes.

        Nothing is done where it is the one that answers already. Raises ModelFileError.
        """
        async with self._one_at_a_time:
            if await to_thread.run_sync(self._is_the_same):
                return self.live
            started = time.monotonic()
            try:
                classifier = await to_thread.run_sync(self._load)
            except Exception as error:  # whatever it is: the old one goes on
                TAKEOVERS.labels("refused").inc()
                log.error("the new model is refused, %s goes on answering: %s", self.live.version, error)  # noqa: TRY400
                if isinstance(error, ModelFileError):
                    raise
                raise ModelFileError(f"{self._path} could not be loaded: {error}") from error
            LOADED.set(time.monotonic() - started)
            self._replace(self._start(classifier))
            return self.live

    async def go_back(self, version: str) -> LiveModel:
        """Let an earlier model that is still kept answer again. Raises NotHere."""
        async with self._one_at_a_time:
            model = self.version(version)
            if model is not self.live:
                self.earlier.remove(model)
                self._replace(model)
            return self.live

    async def watch(self) -> None:
        """Take over the file whenever another one stands in its place, until cancelled."""
        seen = self._signature()
        tried = None  # it may have changed since it was loaded; if it did not, nothing is done
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            before, seen = seen, self._signature()
            if seen is None or seen != before or seen == tried:
                continue  # not there, still being written, or known
            tried = seen
            try:
                await self.take_over()
            except ModelFileError:
                continue  # told already; another file may be better

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, and answer what was accepted within `timeout_s`."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(model.close(timeout_s) for model in self.loaded))

    def _replace(self, model: LiveModel) -> None:
        before, self.live = self.live, model
        self.earlier.appendleft(before)
        while len(self.earlier) > self._keep:
            task = asyncio.create_task(self._retire(self.earlier.pop()))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        MODEL.clear()
        self._announce()
        TAKEOVERS.labels("taken").inc()
        log.info("version %s answers from now on, in place of %s", model.version, before.version)

    async def _retire(self, model: LiveModel) -> None:
        # Who had it in hand when it was replaced may still ask it.
        try:
            await asyncio.sleep(self._grace_s)
        finally:
            await model.close(self._grace_s)

    def _announce(self) -> None:
        MODEL.labels(self.live.card.name, self.live.version, self.live.device).set(1)

    def _is_the_same(self) -> bool:
        try:
            return file_version(self._path) == self.live.version
        except OSError:
            return False  # loading tells what is wrong

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
