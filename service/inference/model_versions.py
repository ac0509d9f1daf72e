"""One model: the version that answers now, and the previous ones. Another one takes its place without a gap.

Knows neither an engine nor HTTP.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

from anyio import to_thread

from models.card import ModelFileError
from service.engines.base import Engine
from service.errors import NotFound, ServiceError
from service.inference.model_runner import ModelRunner
from service.logs import LOGGER
from service.metrics import MODEL_RELOADS, MODELS

log = logging.getLogger(LOGGER)


class ModelVersions:
    """One name, and under it the version that answers and up to `keep` previous ones.

    All methods belong to the event loop; one change at a time is for the caller to see to.
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
        """`start` puts an engine behind a queue; `load` makes one of a file, here of `path`, on a thread.

        A version that was replaced goes on answering what it was asked, for at least `grace_s`. Previous versions stay
        loaded until `keep` others came after them.
        """
        self._start, self._load, self.path = start, load, path
        self._keep, self._grace_s = keep, grace_s
        self._retiring: set[asyncio.Task[None]] = set()
        self.previous: deque[ModelRunner] = deque()
        self.current = start(first)
        self._announce()

    @property
    def loaded(self) -> tuple[ModelRunner, ...]:
        """The version that answers and the previous ones that are kept, the latest first."""
        return self.current, *self.previous

    def version(self, version: str) -> ModelRunner:
        """The one of that version, if it answers or is still kept. Raises NotFound, which lists those there are."""
        for runner in self.loaded:
            if runner.version == version:
                return runner
        raise NotFound(
            f"version {version!r:.40} is not here; there are {', '.join(runner.version for runner in self.loaded)}"
        )

    async def switch_to(self, version: str | None) -> None:
        """Let `version` answer: one that is kept, or else what the file holds now, whatever that is.

        If anything is wrong with the file, nothing changes. Raises ModelFileError, or StorageFailed.
        """
        if version == self.current.version:
            return
        kept = next((runner for runner in self.previous if runner.version == version), None)
        if kept is not None:
            self.previous.remove(kept)
            self._replace(kept)
            return
        old_goes_on = f"{self.current.version} goes on answering"
        engine = await to_thread.run_sync(lambda: load_or_report(self._load, self.path, old_goes_on))
        self._replace(self._start(engine))

    async def retire(self) -> None:
        """Close all of it, once those who have it in hand have had time to ask it; at once where this is cancelled."""
        for runner in self.loaded:
            _withdraw(runner)
        await _close_later(self, self._grace_s)

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, and answer what was accepted within `timeout_s`."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(runner.close(timeout_s) for runner in self.loaded))

    def _replace(self, runner: ModelRunner) -> None:
        before, self.current = self.current, runner
        self.previous.appendleft(before)
        while len(self.previous) > self._keep:
            dropped = self.previous.pop()
            _withdraw(dropped)
            task = asyncio.create_task(_close_later(dropped, self._grace_s))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        self._announce()
        MODEL_RELOADS.labels("loaded").inc()
        log.info("version %s answers from now on, in place of %s", runner.version, before.version)

    def _announce(self) -> None:
        for runner in self.loaded:
            MODELS.announce(runner.card.name, runner.version, runner.device, answers=runner is self.current)


def _withdraw(runner: ModelRunner) -> None:
    MODELS.withdraw(runner.card.name, runner.version, runner.device)


async def _close_later(model: ModelRunner | ModelVersions, grace_s: float) -> None:
    # Who had it in hand when it was replaced or unloaded may still ask it.
    try:
        await asyncio.sleep(grace_s)
    finally:
        await model.close(grace_s)


def load_or_report(load: Callable[[Path], Engine], path: Path, what_goes_on: str) -> Engine:
    """What `load` makes of `path`; where it fails that is counted and logged. Raises ModelFileError, StorageFailed."""
    try:
        return load(path)
    except Exception as error:  # whatever it is: what answers now goes on
        MODEL_RELOADS.labels("refused").inc()
        log.error("the new model is refused, %s: %s", what_goes_on, error)  # noqa: TRY400 - for a person
        if isinstance(error, (ModelFileError, ServiceError)):
            raise
        raise ModelFileError(f"{path} could not be loaded: {error}") from error
