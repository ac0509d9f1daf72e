"""A model that lies elsewhere, as a file of this machine: fetched whole or not at all, within bounds of bytes and time.

Knows no kind of source but by name, and no engine.
"""

import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from models.card import ModelFileError
from models.file_version import sha256_of
from models.whole_files import whole_file
from service.errors import writing_temporary_files
from service.logs import LOGGER
from service.model_address import scheme_of, shown
from service.model_files.beside import names_beside, sources_beside
from service.model_files.labels import MOST_LABEL_BYTES
from service.model_files.private_folder import is_ours
from service.model_files.remote.source import RemoteSource, SourceUnavailable, check_size
from service.model_files.snapshot import ModelFileLimits, check_digest
from service.model_files.validation.formats import check_quickly

log = logging.getLogger(LOGGER)

_CURRENT = "current"
_FETCHED = "fetched-"
_MOST_NAME = 100


def source_of(address: str) -> RemoteSource:
    """The source that `address` names. Raises ModelFileError where the package for it is missing."""
    match scheme_of(address):
        case "s3" | "gs":
            from service.model_files.remote.object_store import ObjectSource  # noqa: PLC0415

            return ObjectSource(address)
        case "hf":
            from service.model_files.remote.hub import HubSource  # noqa: PLC0415

            return HubSource(address)
        case "models":
            from service.model_files.remote.mlflow_registry import RegistrySource  # noqa: PLC0415

            return RegistrySource(address)
    from service.model_files.remote.https_source import HttpsSource  # noqa: PLC0415

    if scheme_of(address) == "http":
        log.warning("%s comes over http: whoever is on the way can put another file in its place", shown(address))
    return HttpsSource(address)


class RemoteModel:
    """The model of one source. `path` leads to what was fetched last, with the files beside it, from one moment."""

    def __init__(
        self, source: RemoteSource, folder: Path, limits: ModelFileLimits, timeout_s: float, kept: Path | None = None
    ) -> None:
        """`folder` is this service's alone; fetching takes at most `timeout_s`.

        What has the one SHA-256 of `limits` is kept in `kept`, too, for when the source is away.
        """
        self._source, self._folder, self._limits, self._timeout_s = source, folder, limits, timeout_s
        place = hashlib.sha256(f"{(limits.sha256 or '').lower()} {source.shown}".encode()).hexdigest()
        self._kept = kept / place if kept and limits.sha256 else None  # files beside it belong to its place
        name = re.sub(r"[^\w.-]", "_", source.file_name).lstrip(".")[-_MOST_NAME:] or "model.keras"
        self.path = folder / _CURRENT / name
        self.ending = threading.Event()
        """Once it is set a download that is under way is given up."""
        self._revision: str | None = None
        self._digest: str | None = None
        self._refused: ModelFileError | None = None  # what is wrong with the file of that revision

    @property
    def shown(self) -> str:
        """The address, without secrets."""
        return self._source.shown

    def fetch_first(self) -> None:
        """Have a file at `path`; where the source is away and the digest is fixed, one that was kept.

        Raises ModelFileError or StorageFailed.
        """
        try:
            self.fetch()
        except SourceUnavailable as error:
            if not self._take_kept():
                raise
            log.warning("%s; the copy that was kept of it is served, which has the SHA-256 that is asked for", error)

    def fetch(self) -> bool:
        """Whether another file is at `path` now. Raises ModelFileError or StorageFailed; then all is as it was."""
        with writing_temporary_files():
            making = Path(tempfile.mkdtemp(prefix=_FETCHED, dir=self._folder))
        try:
            return self._fetch(making)
        finally:
            if making != self._published():
                shutil.rmtree(making, ignore_errors=True)

    def _fetch(self, making: Path) -> bool:
        file = making / self.path.name
        deadline = time.monotonic() + self._timeout_s
        digest = ""

        def write(pieces: Iterable[bytes]) -> None:
            nonlocal digest
            with writing_temporary_files(), whole_file(file) as beside:
                digest = self._save(pieces, beside, deadline)

        revision = self._source.fetch(self._revision, write, self._limits.max_bytes)
        if revision is None:
            if self._refused:
                raise self._refused
            return False
        self._refused = None
        if digest == self._digest:
            self._revision = revision
            return False
        try:
            self._check(file, digest)
        except ModelFileError as error:
            self._revision, self._refused = revision, error  # it is not fetched again before it changes
            raise
        for there, here in zip(names_beside(Path(self._source.file_name)), names_beside(file), strict=True):
            content = self._source.beside(there.name, MOST_LABEL_BYTES)
            if content is not None:
                with writing_temporary_files():
                    here.write_bytes(content)
        try:
            sources_beside(file)
        except ModelFileError as error:  # told by the name that a person knows
            raise ModelFileError(f"beside {self.shown}: {error}".replace(f"{making}/", "")) from error
        self._publish(making)
        self._revision, self._digest = revision, digest
        log.info("%s is fetched: %s bytes, SHA-256 %s", self.shown, f"{file.stat().st_size:,}", digest)
        self._keep(making)
        return True

    def _save(self, pieces: Iterable[bytes], target: Path, deadline: float) -> str:
        digest, size = hashlib.sha256(), 0
        with target.open("xb") as file:
            for piece in pieces:
                size += len(piece)
                check_size(size, self._limits.max_bytes, self.shown)
                if self.ending.is_set():
                    raise SourceUnavailable(f"{self.shown} is not fetched any longer: the service ends")
                if time.monotonic() > deadline:
                    raise SourceUnavailable(
                        f"{self.shown} cannot be fetched: only {size:,} bytes came in the {self._timeout_s:g} s of "
                        "--download-timeout-s"
                    )
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest()

    def _check(self, file: Path, digest: str) -> None:
        try:
            check_digest(file, digest, self._limits)
            check_quickly(file)
        except ModelFileError as error:
            raise ModelFileError(str(error).replace(str(file), self.shown)) from error

    def _publish(self, made: Path) -> None:
        """Let `path` lead into the folder `made`, in one step; what it led to before goes with the one after it."""
        before = self._published()
        link = self._folder / f"{made.name}.link"
        with writing_temporary_files():
            link.symlink_to(made.name, target_is_directory=True)
            link.replace(self._folder / _CURRENT)
        for folder in self._folder.glob(f"{_FETCHED}*"):
            if folder not in (made, before):
                shutil.rmtree(folder, ignore_errors=True)

    def _published(self) -> Path | None:
        try:
            return self._folder / (self._folder / _CURRENT).readlink()
        except OSError:
            return None

    def _keep(self, made: Path) -> None:
        if self._kept is None:
            return
        with suppress(OSError):  # it is served all the same
            self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=self._kept.parent))
            try:
                shutil.copytree(made, beside, dirs_exist_ok=True)
                beside.chmod(0o700)
                shutil.rmtree(self._kept, ignore_errors=True)
                beside.rename(self._kept)
            finally:
                shutil.rmtree(beside, ignore_errors=True)

    def _take_kept(self) -> bool:
        if self._kept is None or not (is_ours(self._kept.parent) and is_ours(self._kept)):
            return False
        try:
            digest = sha256_of(self._kept / self.path.name, self._limits.max_bytes)
            check_digest(self._kept, digest, self._limits)
        except (OSError, ModelFileError):
            return False
        with writing_temporary_files():
            making = Path(tempfile.mkdtemp(prefix=_FETCHED, dir=self._folder))
            for file in (self._kept / self.path.name, *names_beside(self._kept / self.path.name)):
                if file.is_file():
                    shutil.copyfile(file, making / file.name)
        self._publish(making)
        self._digest = digest
        return True


def model_folder(place: Path) -> Path:
    """An empty folder in `place` for one remote model, which nobody else can enter. Raises StorageFailed."""
    with writing_temporary_files():
        folder = Path(tempfile.mkdtemp(prefix="remote-", dir=place))
        os.chmod(folder, 0o700)  # noqa: PTH101
    return folder
