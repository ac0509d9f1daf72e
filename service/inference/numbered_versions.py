"""One model of numbered versions: the newest answers, and the next lower ones stay loaded. Knows no engine, no HTTP."""

import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from anyio import to_thread

from models.card import ModelFileError
from service.engines.base import Engine
from service.errors import StorageFailed
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions, load_or_report
from service.inference.refusals import count_refused
from service.inference.version_folders import newest_file, refused_folders, refused_versions, version_files
from service.logs import LOGGER
from service.metrics import MODEL_RELOADS

log = logging.getLogger(LOGGER)


class LoadedModel(NamedTuple):
    """A model's file or version folder, its engine, and the number of that version if it has one."""

    place: Path
    engine: Engine
    number: int | None = None


def load_newest(place: Path, load: Callable[[Path], Engine]) -> LoadedModel:
    """The model at `place`; of a version folder the highest number that can be loaded.

    Those above it that cannot be are in the log. Raises ModelFileError where none can be, or StorageFailed.
    """
    newest = newest_file(place)
    if newest == place:
        return LoadedModel(place, load(place))
    for reason in refused_versions(place):
        log.error("%s", reason)
    failed: ModelFileError | None = None
    for number, file in version_files(place).items():
        try:
            return LoadedModel(place, load(file), number)
        except ModelFileError as error:
            log.error("version %s is refused, a lower one is tried: %s", number, error)  # noqa: TRY400 - for a person
            failed = failed or error
    raise failed or ModelFileError(f"the versions in {place} are gone; put one into {place}/1")


class NumberedVersions(ModelVersions):
    """Of a version folder. The number that answers, and up to `keep` that are lower; all as the folder has them."""

    def has(self, version: str) -> bool:
        """Whether that number is loaded, or in the folder."""
        return super().has(version) or version in map(str, version_files(self.path))

    def on_disk(self) -> str | None:
        """The highest number; None where there is none."""
        return next(map(str, version_files(self.path)), None)

    async def switch_to(self, version: str | None, _elsewhere: Path | None = None, /) -> None:
        """Let the number `version` answer if it can be loaded, or else the highest that can; drop what is no longer.

        All of them are in the model's own folder, and none elsewhere. Where no version is left, what answers goes on.
        Raises ModelFileError or StorageFailed where the highest cannot be loaded, once all else is done.
        """
        files = await to_thread.run_sync(version_files, self.path)
        for folder, reason in (await to_thread.run_sync(refused_folders, self.path)).items():
            count_refused(folder)
            log.error("%s; %s goes on answering", reason, self.current.served_version)
        before = {runner.number: runner for runner in self.loaded}
        chosen: dict[int, ModelRunner] = {}
        failed: ModelFileError | StorageFailed | None = None
        for number, file in files.items():
            rolled_back_to = str(number) == version
            if len(chosen) > self._keep and not rolled_back_to:
                continue
            try:
                chosen[number] = await self._loaded(number, file, before.get(number))
            except (ModelFileError, StorageFailed) as error:
                failed = failed or (error if number == max(files) else None)
                if number in before:
                    chosen[number] = before[number]
        if not chosen:
            log.warning("no version is left in %s; %s goes on answering", self.path, self.current.served_version)
        else:
            wanted = next((number for number in chosen if str(number) == version), max(chosen))
            self._take(chosen, wanted)
        if failed:
            raise failed

    async def _loaded(self, number: int, file: Path, before: ModelRunner | None) -> ModelRunner:
        if before is not None and before.version == await to_thread.run_sync(self._digest, file):
            return before
        old_goes_on = f"{self.current.served_version} goes on answering"
        engine = await to_thread.run_sync(lambda: load_or_report(self._load, file, old_goes_on))
        MODEL_RELOADS.labels("loaded").inc()
        return self._start(engine, number)

    def _take(self, chosen: dict[int, ModelRunner], wanted: int) -> None:
        before, loaded = self.current, self.loaded
        self.current = chosen.pop(wanted)
        self.previous = deque(chosen.values())
        for runner in loaded:
            if runner not in self.loaded:
                self._drop(runner)
        self._announce()
        if self.current is not before:
            log.info(
                "version %s answers from now on, in place of %s", self.current.served_version, before.served_version
            )
        kept = ", ".join(runner.served_version for runner in self.previous)
        log.info("%s: version %s answers; also loaded: %s", self.current.card.name, wanted, kept or "none")
