"""The models by name, one of which answers where none is named. Knows neither an engine nor HTTP.

What is in memory follows two things: the model files, and what was asked beyond them (see `desired_state`).
`reconcile` makes it so; signals, watching and calls only say that it is time to.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from stat import S_ISREG

from anyio import to_thread

from models.card import ModelFileError
from models.file_version import file_version
from service.engines.base import Engine
from service.errors import MalformedRequest, NotFound, Overloaded, ServiceError
from service.inference.desired_state import DesiredState, Wish
from service.inference.model_folder import check_name, models_in
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions, load_or_report
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

# How often a worker looks for what another one was asked, and at the files that are watched.
FOLLOW_EVERY_S = 0.25
WATCH_EVERY_S = 1.0
# Each reads a file as large as a model.
MOST_ASKING = 8

_Signature = tuple[int, int, int] | None


class ModelRepository:
    """All models that are served: of one file, or of each in a folder by its stem.

    All methods belong to the event loop.
    """

    def __init__(
        self,
        first: Sequence[tuple[Path, Engine]],
        start: Callable[[Engine], ModelRunner],
        load: Callable[[Path], Engine],
        folder: Path | None,
        keep: int,
        grace_s: float,
        desired: DesiredState,
        most_bytes: int | None = None,
    ) -> None:
        """The `first` of them are loaded, and their files; the very first is the default.

        Others that come into `folder` later can be loaded. `start`, `load`, `keep` and `grace_s`: see `ModelVersions`.
        Of a file with more than `most_bytes`, which would not be loaded, no version is worked out.
        """

        def make(path: Path, engine: Engine) -> ModelVersions:
            return ModelVersions(engine, start, load, path, keep, grace_s)

        self._make, self._load, self._folder, self._desired = make, load, folder, desired
        self._most_bytes = most_bytes
        self._by_name = {engine.card.name: make(path, engine) for path, engine in first}
        self._one_at_a_time = asyncio.Lock()
        self._asking = 0
        self._retiring: set[asyncio.Task[None]] = set()
        # None yet: one that was asked while the first models were loaded must not be taken for done.
        self._followed: dict[str, Wish] = {}
        self.default = next(iter(self._by_name.values()))

    @property
    def models(self) -> tuple[ModelVersions, ...]:
        """All of them, the default first."""
        return tuple(self._by_name.values())

    @property
    def unloaded(self) -> list[str]:
        """The names of those that somebody unloaded."""
        return sorted(name for name, wish in self._desired.wishes().items() if wish.unloaded)

    @property
    def busy_s(self) -> float:
        """For how many seconds an inference thread has been at its present call; of several, the longest."""
        return max(runner.busy_s for model in self.models for runner in model.loaded)

    def named(self, name: str | None) -> ModelVersions:
        """The model of that name; the default for None. Raises NotFound, which lists those there are."""
        if name is None:
            return self.default
        if name not in self._by_name:
            raise NotFound(f"there is no model {name!r:.80}; there are {', '.join(map(repr, self._by_name))}")
        return self._by_name[name]

    async def load(self, name: str) -> ModelRunner:
        """Let the model of that name answer from its file as that is now, here and in every other worker.

        Raises ModelFileError, after which what answered before goes on, NotFound, Overloaded, or StorageFailed.
        """
        if self._folder:
            check_name(self._folder, name)
        if name not in self._files():
            self.named(name)  # raises NotFound
        await self._ask(Wish(name=name))
        return self.named(name).current

    async def roll_back(self, name: str, version: str) -> ModelRunner:
        """Let a previous version that is still kept answer again, until another file comes. Raises NotFound."""
        model = self.named(name)
        model.version(version)  # raises NotFound
        on_disk = await to_thread.run_sync(_version_of, model.path, self._most_bytes)
        await self._ask(Wish(name=name, version=version, instead_of=on_disk))
        return model.current

    async def unload(self, name: str) -> None:
        """Have no model of that name any longer, until `load` asks for it. What it accepted is answered.

        Raises NotFound, or MalformedRequest for the default, without which there would be nothing to answer.
        """
        if self.named(name) is self.default:
            raise MalformedRequest(f"{name} stays loaded: it is the default, which answers where no model is named")
        await self._ask(Wish(name=name, unloaded=True))

    async def reconcile(self, only: Collection[str] | None = None) -> dict[str, ModelFileError | ServiceError]:
        """Make memory follow the files and what was asked: of all models, or `only` of those with these names.

        What could not be loaded is in the log, and comes back by name; whatever answered before goes on.
        """
        failed: dict[str, ModelFileError | ServiceError] = {}
        async with self._one_at_a_time:
            wishes = self._desired.wishes()
            for name, path in self._files().items():
                if only is not None and name not in only:
                    continue
                self._followed[name] = wishes.get(name, Wish(name=name))
                try:
                    await self._follow_wish(path, self._followed[name])
                except (ModelFileError, ServiceError) as error:
                    failed[name] = error
        return failed

    async def follow(self, *, watch: bool) -> None:
        """Do what other workers were asked, and with `watch` load each file that changes, until cancelled."""
        async with asyncio.TaskGroup() as group:
            if watch:
                group.create_task(self._watch())
            while True:
                await asyncio.sleep(FOLLOW_EVERY_S)
                wishes = self._desired.wishes().items()
                if changed := [name for name, wish in wishes if wish != self._followed.get(name)]:
                    # What has no file is nobody's to follow, and not asked again.
                    self._followed.update((name, wish) for name, wish in wishes if name in changed)
                    await self.reconcile(changed)

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, and answer what was accepted within `timeout_s`."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(model.close(timeout_s) for model in self.models))

    async def _ask(self, wish: Wish) -> None:
        if self._asking >= MOST_ASKING:
            raise Overloaded(f"{MOST_ASKING} loads or unloads are not done yet; send the request again later")
        self._asking += 1
        try:
            await to_thread.run_sync(self._desired.ask, wish)
            for error in (await self.reconcile([wish.name])).values():
                raise error
        finally:
            self._asking -= 1

    async def _follow_wish(self, path: Path, wish: Wish) -> None:
        model = self._by_name.get(wish.name)
        if wish.unloaded:
            if model is not None:
                self._drop(wish.name, model)
            return
        on_disk = await to_thread.run_sync(_version_of, path, self._most_bytes)
        if model is None:
            engine = await to_thread.run_sync(lambda: load_or_report(self._load, path, "the others go on"))
            self._by_name[wish.name] = self._make(path, engine)
            log.info("%s answers from now on, version %s", wish.name, engine.version)
            return
        rolled_back = wish.version is not None and wish.instead_of == on_disk
        if rolled_back and wish.version not in {runner.version for runner in model.loaded}:
            log.warning("%s was rolled back to %s, which this worker does not have", wish.name, wish.version)
            rolled_back = False
        await model.switch_to(wish.version if rolled_back else on_disk)

    def _drop(self, name: str, model: ModelVersions) -> None:
        del self._by_name[name]
        task = asyncio.create_task(model.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        log.info("%s is unloaded; it is loaded again when it is asked for by name", name)

    async def _watch(self) -> None:
        """Reconcile each file that changes, once it does so no longer."""
        seen = {name: _signature(path) for name, path in self._files().items()}
        known: dict[str, _Signature] = {}  # they may have changed since they were loaded; if not, nothing is done
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            before, seen = seen, {name: _signature(path) for name, path in self._files().items()}
            for name, signature in seen.items():
                if signature is None or signature != before.get(name) or signature == known.get(name):
                    continue  # not there, still being written, or known
                known[name] = signature
                await self.reconcile([name])

    def _files(self) -> dict[str, Path]:
        """The file of each model that answers, and of each in the folder."""
        files = {name: model.path for name, model in self._by_name.items()}
        # Looked up among the files, so that a name cannot lead out of the folder.
        return files | models_in(self._folder) if self._folder else files


def _version_of(path: Path, most_bytes: int | None) -> str | None:
    try:
        return file_version(path, most_bytes)
    except OSError:
        return None  # loading tells what is wrong


def _signature(path: Path) -> _Signature:
    try:
        status = path.stat()
    except OSError:
        return None
    # What is no file is as if it were not there: the next look would find a FIFO or a device as it was.
    return (status.st_ino, status.st_size, status.st_mtime_ns) if S_ISREG(status.st_mode) else None
