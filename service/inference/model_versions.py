"""One model: the version that answers now, and those that did before it. A new one takes over without a gap.

Knows neither Keras nor HTTP.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

from anyio import to_thread

from models.card import ModelFileError, file_version
from service.errors import NotFound, ServiceError
from service.inference.model_runner import Engine, ModelRunner
from service.logs import LOGGER
from service.metrics import MODEL, MODEL_RELOADS

log = logging.getLogger(LOGGER)


class ModelVersions:
    """One name, and under it the version that answers and up to `keep` earlier ones.

    All methods belong to the event loop.
    """

    def __init__(
        self,
        first: Engine,
        start: Callable[[Engine], ModelRunner],
        load: Callable[[Path], Engine],
        path: Path,
        keep: int,
        grace_s: float,
    ) -> None:
        """`start` puts a classifier behind a queue; `load` makes one of a file, here of `path`, on a thread.

        A model that was replaced goes on answering what it was asked, for at least `grace_s`. Earlier models stay
        loaded until `keep` others came after them.
        """
        self._start, self._load, self.path = start, load, path
        self._keep, self._grace_s = keep, grace_s
        self._one_at_a_time = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self.earlier: deque[ModelRunner] = deque()
        self.live = start(first)
        self._announce()

    @property
    def loaded(self) -> tuple[ModelRunner, ...]:
        """The model that answers and the earlier ones that are kept, the latest first."""
        return self.live, *self.earlier

    def version(self, version: str) -> ModelRunner:
        """The model of that version, if it answers or is still kept. Raises NotFound, which lists those there are."""
        for model in self.loaded:
            if model.version == version:
                return model
        raise NotFound(
            f"version {version!r:.40} is not here; there are {', '.join(model.version for model in self.loaded)}"
        )

    async def reload(self) -> ModelRunner:
        """Load the file anew, and let it answer from now on; if anything is wrong with it, nothing changes.

        Nothing is done where it is the one that answers already. Raises ModelFileError, or StorageFailed.
        """
        async with self._one_at_a_time:
            if await to_thread.run_sync(self._is_the_same):
                return self.live
            old_goes_on = f"{self.live.version} goes on answering"
            classifier = await to_thread.run_sync(lambda: load_or_tell(self._load, self.path, old_goes_on))
            self._replace(self._start(classifier))
            return self.live

    async def roll_back(self, version: str) -> ModelRunner:
        """Let an earlier model that is still kept answer again. Raises NotFound."""
        async with self._one_at_a_time:
            model = self.version(version)
            if model is not self.live:
                self.earlier.remove(model)
                self._replace(model)
            return self.live

    async def retire(self) -> None:
        """Close all of it, once those who have it in hand have had time to ask it; at once where this is cancelled."""
        MODEL.labels(self.live.card.name, self.live.version, self.live.device).set(0)
        await _close_later(self, self._grace_s)

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, and answer what was accepted within `timeout_s`."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(model.close(timeout_s) for model in self.loaded))

    def _replace(self, model: ModelRunner) -> None:
        before, self.live = self.live, model
        self.earlier.appendleft(before)
        while len(self.earlier) > self._keep:
            task = asyncio.create_task(_close_later(self.earlier.pop(), self._grace_s))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        self._announce(before)
        MODEL_RELOADS.labels("taken").inc()
        log.info("version %s answers from now on, in place of %s", model.version, before.version)

    def _announce(self, before: ModelRunner | None = None) -> None:
        for model, answers in ((before, 0), (self.live, 1)):
            if model:
                MODEL.labels(model.card.name, model.version, model.device).set(answers)

    def _is_the_same(self) -> bool:
        try:
            return file_version(self.path) == self.live.version
        except OSError:
            return False  # loading tells what is wrong


async def _close_later(model: ModelRunner | ModelVersions, grace_s: float) -> None:
    # Who had it in hand when it was replaced or unloaded may still ask it.
    try:
        await asyncio.sleep(grace_s)
    finally:
        await model.close(grace_s)


def load_or_tell(load: Callable[[Path], Engine], path: Path, what_goes_on: str) -> Engine:
    """What `load` makes of `path`; where it fails that is counted and logged. Raises ModelFileError, StorageFailed."""
    try:
        return load(path)
    except Exception as error:  # whatever it is: what answers now goes on
        MODEL_RELOADS.labels("refused").inc()
        log.error("the new model is refused, %s: %s", what_goes_on, error)  # noqa: TRY400 - for a person
        if isinstance(error, (ModelFileError, ServiceError)):
            raise
        raise ModelFileError(f"{path} could not be loaded: {error}") from error
