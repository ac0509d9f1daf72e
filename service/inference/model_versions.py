"""One model: the version that answers now, and the previous ones. Another one takes its place without a gap.

Knows neither an engine nor HTTP.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from models.card import ModelFileError
from models.file_version import file_version
from service.engines.base import Engine
from service.errors import NotFound, ServiceError
from service.inference.model_runner import ModelRunner
from service.inference.refusals import count_refused
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
        start: Callable[[Engine, int | None], ModelRunner],
        load: Callable[[Path], Engine],
        path: Path,
        keep: int,
        grace_s: float,
        number: int | None = None,
        most_bytes: int | None = None,
    ) -> None:
        """`start` puts an engine behind a queue; `load` makes one of a file, here of `path`, on a thread.

        `number`: see `ModelRunner`. Of a file with more than `most_bytes` no version is worked out.

        A version that was replaced goes on answering what it was asked, for at least `grace_s`. Previous versions stay
        loaded until `keep` others came after them.
        """
        self._start, self._load, self.path = start, load, path
        self._keep, self._grace_s, self._most_bytes = keep, grace_s, most_bytes
        self._retiring: set[asyncio.Task[None]] = set()
        self.previous: deque[ModelRunner] = deque()
        self.current = start(first, number)
        self._announce()

    @property
    def loaded(self) -> tuple[ModelRunner, ...]:
        """The version that answers and the previous ones that are kept, the latest first."""
        return self.current, *self.previous

    def version(self, version: str) -> ModelRunner:
        """The one of that version, if it answers or is still kept. Raises NotFound, which lists those there are."""
        for runner in self.loaded:
            if runner.served_version == version:
                return runner
        there = ", ".join(runner.served_version for runner in self.loaded)
        raise NotFound(f"version {version!r:.40} is not here; there are {there}")

    def has(self, version: str) -> bool:
        """Whether that version is loaded, or lies where it can be loaded from."""
        return any(runner.served_version == version for runner in self.loaded)

    def on_disk(self) -> str | None:
        """The version that the file has now; None where it cannot be read, of which loading tells why."""
        return self._digest(self.path)

    async def switch_to(self, version: str | None, elsewhere: Path | None = None, /) -> None:
        """Let `version` answer: one that is loaded, or else what the file holds now, whatever that is.

        `elsewhere` is the file of `version` where the model's own holds another one. If anything is wrong with the
        file, nothing changes. Raises ModelFileError, or StorageFailed.
        """
        if version == self.current.version:
            return
        kept = next((runner for runner in self.previous if runner.version == version), None)
        if kept is not None:
            self.previous.remove(kept)
            self._replace(kept)
            return
        old_goes_on = f"{self.current.version} goes on answering"
        file = elsewhere or self.path
        engine = await to_thread.run_sync(lambda: load_or_report(self._load, file, old_goes_on))
        self._replace(self._start(engine, None))

    async def load_previous(self, files: Mapping[str, Path]) -> None:
        """Load previous versions that are not loaded yet from these files, as far as they are kept.

        Those that cannot be loaded are in the log.
        """
        for version, file in files.items():
            if self.has(version) or len(self.previous) >= self._keep:
                continue
            with suppress(ModelFileError, ServiceError):
                engine = await to_thread.run_sync(load_or_report, self._load, file, f"{self.current.version} answers")
                self.previous.append(self._start(engine, None))
        self._announce()

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
            self._drop(self.previous.pop())
        self._announce()
        MODEL_RELOADS.labels("loaded").inc()
        log.info("version %s answers from now on, in place of %s", runner.version, before.version)

    def _drop(self, runner: ModelRunner) -> None:
        _withdraw(runner)
        task = asyncio.create_task(_close_later(runner, self._grace_s))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _digest(self, file: Path) -> str | None:
        try:
            return file_version(file, self._most_bytes)
        except OSError:
            return None

    def _announce(self) -> None:
        for runner in self.loaded:
            MODELS.announce(runner.card.name, runner.served_version, runner.device, answers=runner is self.current)


def _withdraw(runner: ModelRunner) -> None:
    MODELS.withdraw(runner.card.name, runner.served_version, runner.device)


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
        count_refused(path)
        log.error("the new model is refused, %s: %s", what_goes_on, error)  # noqa: TRY400 - for a person
        if isinstance(error, (ModelFileError, ServiceError)):
            raise
        raise ModelFileError(f"{path} could not be loaded: {error}") from error
