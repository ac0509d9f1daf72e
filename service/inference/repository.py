"""The models by name, one of which answers where none is named. Knows neither Keras nor HTTP."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from models.card import ModelFileError
from service.errors import MalformedRequest, NotFound, ServiceError
from service.inference.model_runner import Engine, ModelRunner
from service.inference.model_versions import ModelVersions, load_or_tell
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

# How often watched files are looked at.
WATCH_EVERY_S = 1.0

_Signature = tuple[int, int, int] | None


def model_files(path: Path, default: str | None) -> list[Path]:
    """The files that `path` names: itself, or each `.h5` in it, the one called `default` or else the first before all.

    Raises ModelFileError where a folder has none, or not that one.
    """
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.h5"))
    if not files:
        raise ModelFileError(f"the folder {path} has no .h5 file; put a model there, or name a file")
    if default is None:
        return files
    if path / f"{default}.h5" not in files:
        raise ModelFileError(
            f"the folder {path} has no {default}.h5, which --default-model names; there are "
            f"{', '.join(file.stem for file in files)}"
        )
    return sorted(files, key=lambda file: file.stem != default)


class ModelRepository:
    """All models that are served: of one file, or of each `.h5` in a folder by its stem.

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
    ) -> None:
        """The `first` of them are loaded, and their files; the very first is the default.

        Others that come into `folder` later can be loaded. `start`, `load`, `keep` and `grace_s`: see `ModelVersions`.
        """

        def make(path: Path, classifier: Engine) -> ModelVersions:
            return ModelVersions(classifier, start, load, path, keep, grace_s)

        self._make, self._load, self._folder = make, load, folder
        self._by_name = {classifier.card.name: make(path, classifier) for path, classifier in first}
        self._one_at_a_time = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self.unloaded: set[str] = set()
        self.default = next(iter(self._by_name.values()))

    @property
    def models(self) -> tuple[ModelVersions, ...]:
        """All of them, the default first."""
        return tuple(self._by_name.values())

    @property
    def busy_s(self) -> float:
        """For how many seconds a model has been at one call; of several, the longest."""
        return max(live.busy_s for model in self.models for live in model.loaded)

    def named(self, name: str | None) -> ModelVersions:
        """The model of that name; the default for None. Raises NotFound, which lists those there are."""
        if name is None:
            return self.default
        if name not in self._by_name:
            raise NotFound(f"there is no model {name!r:.80}; there are {', '.join(map(repr, self._by_name))}")
        return self._by_name[name]

    async def load(self, name: str) -> ModelRunner:
        """Load the model of that name anew, or for the first time. Raises ModelFileError, NotFound, StorageFailed."""
        if name not in self._by_name and self._folder:
            async with self._one_at_a_time:
                # Looked up among the files, so that a name cannot lead out of the folder.
                path = {file.stem: file for file in self._folder.glob("*.h5")}.get(name)
                if path and name not in self._by_name:
                    classifier = await to_thread.run_sync(lambda: load_or_tell(self._load, path, "the others go on"))
                    self._by_name[name] = self._make(path, classifier)
                    self.unloaded.discard(name)
                    log.info("%s answers from now on, version %s", name, classifier.version)
                    return self._by_name[name].live
        return await self.named(name).reload()

    def unload(self, name: str) -> None:
        """Have no model of that name any longer, until it is asked for by `load`. What it accepted is answered.

        Raises NotFound, or MalformedRequest for the default, without which there would be nothing to answer.
        """
        model = self.named(name)
        if model is self.default:
            raise MalformedRequest(f"{name} stays loaded: it is the default, which answers where no model is named")
        del self._by_name[name]
        self.unloaded.add(name)
        task = asyncio.create_task(model.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        log.info("%s is unloaded; it is loaded again when it is asked for by name", name)

    async def load_all(self) -> None:
        """Load all models whose files are others now, and those that are new. What is refused is in the log."""
        for name in self._files():
            with suppress(ModelFileError, ServiceError):
                await self.load(name)

    async def watch(self) -> None:
        """Load each file that changes, once it does so no longer, until cancelled."""
        seen = {name: _signature(path) for name, path in self._files().items()}
        known: dict[str, _Signature] = {}  # they may have changed since they were loaded; if not, nothing is done
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            before, seen = seen, {name: _signature(path) for name, path in self._files().items()}
            for name, signature in seen.items():
                if signature is None or signature != before.get(name) or signature == known.get(name):
                    continue  # not there, still being written, or known
                known[name] = signature
                with suppress(ModelFileError, ServiceError):  # told already; another file may be better
                    await self.load(name)

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, and answer what was accepted within `timeout_s`."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(model.close(timeout_s) for model in self.models))

    def _files(self) -> dict[str, Path]:
        """Those that answer, and those in the folder that nobody unloaded."""
        files = {name: model.path for name, model in self._by_name.items()}
        if self._folder:
            files |= {file.stem: file for file in self._folder.glob("*.h5") if file.stem not in self.unloaded}
        return files


def _signature(path: Path) -> _Signature:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
