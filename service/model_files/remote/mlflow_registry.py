"""A model in MLflow's model registry, where training puts it. Knows no other kind of source.

Where the registry is, MLflow's own settings say (MLFLOW_TRACKING_URI and so on).
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from models.card import ModelFileError
from models.regular_files import pieces, read_regular
from service.errors import writing_temporary_files
from service.model_files.remote.source import MODEL_SUFFIXES, SourceUnavailable, Write, asking, check_size, need_package

_MOST_FILES = 1000
# As training has it: what is gone is not waited for by MLflow's own quarter of an hour.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class RegistrySource:
    """See `RemoteSource`. A revision is the number of the registered version."""

    def __init__(self, address: str) -> None:
        """Raises ModelFileError where the package for it is missing."""
        self.shown = address
        need_package("mlflow", "mlflow", self.shown)
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        named = address.partition(":/")[2]
        self._name, _, self._alias = named.partition("@")
        self._number = ""
        if not self._alias:
            self._name, _, self._number = named.partition("/")
        self.file_name = f"{self._name}.keras"
        self._file = ""
        self._files: dict[str, int | None] = {}

    def fetch(self, known: str | None, write: Write, max_bytes: int) -> str | None:
        """See `RemoteSource`."""
        with asking(self.shown):
            number = self._version()
            if number == known:
                return None
            self._number = number
            self._files = dict(self._listed(""))
            self._file = self._model_file()
            check_size(self._files[self._file], max_bytes, self.shown)
            with self._downloaded(self._file) as folder:
                write(pieces(_only_file(Path(folder)), max_bytes))
            return number

    def beside(self, name: str, max_bytes: int) -> bytes | None:
        """See `RemoteSource`."""
        path = str(PurePosixPath(self._file).with_name(name))
        if path not in self._files:
            return None
        with asking(self.shown):
            check_size(self._files[path], max_bytes, f"{name} beside {self.shown}")
            with self._downloaded(path) as folder:
                return read_regular(_only_file(Path(folder)), max_bytes)

    def _version(self) -> str:
        import mlflow  # noqa: PLC0415 - of an extra, and seconds

        client = mlflow.MlflowClient()
        if self._alias:
            return str(client.get_model_version_by_alias(self._name, self._alias).version)
        return str(client.get_model_version(self._name, self._number).version)

    def _listed(self, folder: str) -> Iterator[tuple[str, int | None]]:
        """The files of the version and their bytes, by their paths in it."""
        import mlflow.artifacts  # noqa: PLC0415

        uri = f"models:/{self._name}/{self._number}"
        found = mlflow.artifacts.list_artifacts(artifact_uri=f"{uri}/{folder}" if folder else uri)
        for entry in found[:_MOST_FILES]:
            path = f"{folder}/{PurePosixPath(entry.path).name}".lstrip("/")
            if not entry.is_dir:
                yield path, entry.file_size
            elif not folder:  # a model of MLflow's has its data in a folder of its own
                yield from self._listed(path)

    def _model_file(self) -> str:
        found = [path for path in self._files if path.endswith(MODEL_SUFFIXES)]
        if len(found) != 1:
            there = ", ".join(found or self._files) or "nothing"
            raise ModelFileError(
                f"version {self._number} of {self.shown} has not one file that ends in {', '.join(MODEL_SUFFIXES)}, "
                f"but {there:.200}; register the model as cnn-train does with --mlflow-model"
            )
        return found[0]

    def _downloaded(self, path: str) -> "tempfile.TemporaryDirectory[str]":
        import mlflow.artifacts  # noqa: PLC0415

        with writing_temporary_files():
            folder = tempfile.TemporaryDirectory(prefix="registry-")
        try:
            mlflow.artifacts.download_artifacts(
                artifact_uri=f"models:/{self._name}/{self._number}/{path}", dst_path=folder.name
            )
        except BaseException:
            folder.cleanup()
            raise
        return folder


def _only_file(folder: Path) -> Path:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "registered_model_meta"]
    if len(files) != 1:
        raise SourceUnavailable(f"MLflow gave {len(files)} files in place of one; see its log")
    return files[0]
