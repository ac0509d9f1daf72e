"""The models by name, one of which answers where none is named. Knows neither an engine nor HTTP.

What is in memory follows two things: the model files, and what was asked beyond them (see `desired_state`).
`reconcile` makes it so; signals, watching and calls only say that it is time to.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from anyio import to_thread

from models.card import ModelFileError
from service.engines.base import Engine
from service.errors import (
    MalformedRequest,
    NotFound,
    NotSupported,
    Overloaded,
    ServiceError,
    StorageFailed,
)
from service.inference.desired_state import DesiredState, Wish
from service.inference.kept_files import drop_all_but, keep_file, kept_file, kept_versions
from service.inference.model_folder import check_name, models_in
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions, load_or_report
from service.inference.numbered_versions import LoadedModel, NumberedVersions, load_newest
from service.inference.watching import watch_files
from service.inference.workers import Followed, Workers
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

# How often a worker looks for what another one was asked.
FOLLOW_EVERY_S = 0.25
# Each reads a file as large as a model.
MOST_ASKING = 8


class ModelRepository:
    """All models that are served: of one file or version folder, or of each in a folder by its name.

    All methods belong to the event loop.
    """

    def __init__(
        self,
        first: Sequence[LoadedModel],
        start: Callable[[Engine, int | None], ModelRunner],
        load: Callable[[Path], Engine],
        folder: Path | None,
        keep: int,
        grace_s: float,
        desired: DesiredState,
        most_bytes: int | None = None,
        *,
        replicated: bool = False,
        workers: Workers | None = None,
    ) -> None:
        """The `first` of them are loaded; the very first is the default.

        Others that come into `folder` later can be loaded. `start`, `load`, `keep` and `grace_s`: see `ModelVersions`.
        Of a file with more than `most_bytes`, which would not be loaded, no version is worked out.
        `replicated`: there are other services like this one, which what is asked here would not reach. `workers`: this
        one and the others that share `desired`; None where there are none.
        """

        def make(loaded: LoadedModel) -> ModelVersions:
            kind = ModelVersions if loaded.number is None else NumberedVersions
            return kind(loaded.engine, start, load, loaded.place, keep, grace_s, loaded.number, most_bytes)

        self._make, self._load, self._folder, self._desired = make, load, folder, desired
        self._replicated, self._workers = replicated, workers
        self._by_name = {loaded.engine.card.name: make(loaded) for loaded in first}
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

        It does, in all of them, when this returns. Raises ModelFileError, after which what answered before goes on,
        NotFound, NotSupported, Overloaded or StorageFailed; Unavailable where only some of the workers could, and
        DeadlineExceeded where some are not done yet.
        """
        self._check_alone()
        if self._folder:
            check_name(self._folder, name)
        if name not in self._files():
            self.named(name)  # raises NotFound
        await self._ask(Wish(name=name))
        return self.named(name).current

    async def roll_back(self, name: str, version: str) -> ModelRunner:
        """Let a previous version that is still kept answer again, in every worker, until another file comes.

        Raises NotFound, or as `load` does.
        """
        self._check_alone()
        model = self.named(name)
        runner = model.version(version)  # raises NotFound
        on_disk = await to_thread.run_sync(model.on_disk)
        if self._workers is not None and runner.number is None and version != on_disk:
            await to_thread.run_sync(keep_file, self._desired.folder, model.path, runner)
        await self._ask(Wish(name=name, version=version, instead_of=on_disk))
        return model.current

    async def unload(self, name: str) -> None:
        """Have no model of that name any longer, until `load` asks for it. What it accepted is answered.

        Raises NotFound, NotSupported, or MalformedRequest for the default, without which there would be nothing to
        answer.
        """
        self._check_alone()
        if self.named(name) is self.default:
            raise MalformedRequest(f"{name} stays loaded: it is the default, which answers where no model is named")
        await self._ask(Wish(name=name, unloaded=True))

    async def reconcile(self, only: Collection[str] | None = None) -> dict[str, ModelFileError | ServiceError]:
        """Make memory follow the files and what was asked: of all models, or `only` of those with these names.

        What could not be loaded is in the log, and comes back by name; whatever answered before goes on. The other
        workers are told of both.
        """
        failed: dict[str, ModelFileError | ServiceError] = {}
        done: list[str] = []
        async with self._one_at_a_time:
            wishes = self._desired.wishes()
            for name, path in self._files().items():
                if only is not None and name not in only:
                    continue
                self._followed[name] = wishes.get(name, Wish(name=name))
                done.append(name)
                try:
                    await self._follow_wish(path, self._followed[name])
                except (ModelFileError, ServiceError) as error:
                    failed[name] = error
                await self._keep_previous(name)
            self._tell(done, failed)
        return failed

    async def join(self) -> None:
        """Do what was asked before this worker came, and tell the others what it answers with.

        To be done before it answers. Raises ModelFileError or a ServiceError where a version was rolled back to that
        cannot be loaded.
        """
        if self._workers is None:
            return
        for model in self.models:
            if model.current.number is None:
                kept = await to_thread.run_sync(kept_versions, self._desired.folder, model.path)
                await model.load_previous(kept)
        wishes = self._desired.wishes()
        for name, error in (await self.reconcile(wishes)).items():
            if wishes[name].version is not None:
                raise error
        self._tell([name for name in self._by_name if name not in wishes], {})
        others = self._workers.others()
        for name, model in self._by_name.items():
            found = {other[name].answers for other in others if name in other} - {_named_version(model), None}
            wish = self._followed.get(name, Wish(name=name))
            if found and (wish.version is None or wish.version != model.current.served_version):
                log.warning(
                    "%s: the file is of another version than the other workers answer with; all follow it", name
                )
                await to_thread.run_sync(self._desired.ask, Wish(name=name))

    async def load_kept_versions(self) -> None:
        """Of numbered versions load those, too, that stay loaded beside the one that answers."""
        numbered = [model.current.card.name for model in self.models if model.current.number is not None]
        if numbered:
            await self.reconcile(numbered)

    async def follow(self, *, watch: bool) -> None:
        """Do what other workers were asked, and with `watch` load each file that changes, until cancelled."""
        async with asyncio.TaskGroup() as group:
            if watch:
                group.create_task(watch_files(self._files, self._reconcile_one))
            while True:
                await asyncio.sleep(FOLLOW_EVERY_S)
                wishes = self._desired.wishes().items()
                if changed := [name for name, wish in wishes if wish != self._followed.get(name)]:
                    # What has no file is nobody's to follow, and not asked again.
                    self._followed.update((name, wish) for name, wish in wishes if name in changed)
                    await self.reconcile(changed)

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, and answer what was accepted within `timeout_s`."""
        if self._workers is not None:
            self._workers.close()
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(model.close(timeout_s) for model in self.models))

    def _check_alone(self) -> None:
        if self._replicated:
            raise NotSupported(
                "this is one of several replicas, and the others would not learn of it; put the file into the storage "
                "that all of them share, and start them with --watch: each loads it by itself. To go back to an "
                "earlier version, put its file there again"
            )

    async def _ask(self, wish: Wish) -> None:
        if self._asking >= MOST_ASKING:
            raise Overloaded(f"{MOST_ASKING} loads or unloads are not done yet; send the request again later")
        self._asking += 1
        try:
            asked = await to_thread.run_sync(self._desired.ask, wish)
            error = (await self.reconcile([wish.name])).get(wish.name)
            if self._workers is not None:
                await self._workers.until_all_follow(asked.name, asked.asked_ns, error)
            if error is not None:
                raise error
        finally:
            self._asking -= 1

    async def _keep_previous(self, name: str) -> None:
        """Have the files of previous versions, which only memory has, for workers that start later."""
        model = self._by_name.get(name)
        if self._workers is None or model is None or model.current.number is not None:
            return
        on_disk = await to_thread.run_sync(model.on_disk)
        folder, loaded = self._desired.folder, model.loaded
        for runner in loaded:
            try:
                if runner.version != on_disk:
                    await to_thread.run_sync(keep_file, folder, model.path, runner)
            except (NotSupported, StorageFailed) as error:
                log.warning("%s cannot be rolled back to %s for long: %s", name, runner.version, error)
        await to_thread.run_sync(drop_all_but, folder, model.path, {runner.version for runner in loaded})

    def _tell(self, names: Sequence[str], failed: Mapping[str, Exception]) -> None:
        if self._workers is None or not names:
            return
        followed = {
            name: Followed(
                asked_ns=self._followed.get(name, Wish(name=name)).asked_ns,
                answers=_named_version(self._by_name[name]) if name in self._by_name else None,
                error=str(failed[name]) if name in failed else None,
            )
            for name in names
        }
        try:
            self._workers.tell(followed)
        except StorageFailed as error:
            log.error("the other workers do not learn what this one does: %s", error)  # noqa: TRY400 - for a person

    async def _follow_wish(self, path: Path, wish: Wish) -> None:
        model = self._by_name.get(wish.name)
        if wish.unloaded:
            if model is not None:
                self._drop(wish.name, model)
            return
        if model is None:
            loaded = await to_thread.run_sync(lambda: load_newest(path, self._load_or_report))
            self._by_name[wish.name] = model = self._make(loaded)
            log.info("%s answers from now on, version %s", wish.name, model.current.served_version)
            if loaded.number is not None:
                await model.switch_to(None)  # loads those that are kept
            return
        on_disk = await to_thread.run_sync(model.on_disk)
        if wish.version is None or wish.instead_of != on_disk:
            await model.switch_to(on_disk)
            return
        elsewhere = kept_file(self._desired.folder, model.path, wish.version)
        if elsewhere.exists() or await to_thread.run_sync(model.has, wish.version):
            await model.switch_to(wish.version, elsewhere)
        else:
            raise ModelFileError(f"{wish.name} was rolled back to {wish.version}, which this worker does not have")

    def _load_or_report(self, path: Path) -> Engine:
        return load_or_report(self._load, path, "the others go on")

    def _drop(self, name: str, model: ModelVersions) -> None:
        del self._by_name[name]
        task = asyncio.create_task(model.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        log.info("%s is unloaded; it is loaded again when it is asked for by name", name)

    async def _reconcile_one(self, name: str) -> None:
        await self.reconcile([name])

    def _files(self) -> dict[str, Path]:
        """The file of each model that answers, and of each in the folder."""
        files = {name: model.path for name, model in self._by_name.items()}
        # Looked up among the files, so that a name cannot lead out of the folder.
        return files | models_in(self._folder) if self._folder else files


def _named_version(model: ModelVersions) -> str:
    """Which version of it answers, by its number and its file."""
    return f"{model.current.served_version} {model.current.version}"
