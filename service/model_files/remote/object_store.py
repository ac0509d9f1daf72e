"""A model in a bucket of S3 or Google Cloud Storage, by fsspec. Knows no other kind of source.

Who may read it, and at which endpoint, is told as everywhere for these: by the environment and the user's files.
"""

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from models.card import ModelFileError
from models.printable import printable
from service.model_address import file_name_of, scheme_of, shown
from service.model_files.remote.source import (
    CONNECT_S,
    MODEL_SUFFIXES,
    PIECE_BYTES,
    READ_S,
    SourceUnavailable,
    Write,
    asking,
    check_size,
    need_package,
)

_PACKAGES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs")}
# gcsfs would find out the kind of the bucket by gRPC, which reading an object does not need and some proxies stop.
_NO_GRPC = ("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
_MOST_TOLD = 5
_BLOCK_BYTES = 8 << 20
_FRESH = {"skip_instance_cache": True, "use_listings_cache": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": CONNECT_S, "read_timeout": READ_S, "retries": {"max_attempts": 2}}},
    "gs": {"timeout": READ_S},
}


class ObjectSource:
    """See `RemoteSource`. A revision is the object's ETag or generation."""

    def __init__(self, address: str) -> None:
        """Raises ModelFileError where the package for it is missing; SourceUnavailable, too, for a folder's address.

        Of a folder, whose address ends in a slash, it is the only model.
        """
        self._scheme = scheme_of(address) or ""
        need_package(*_PACKAGES[self._scheme], shown(address))
        os.environ.setdefault(*_NO_GRPC)
        self._address = f"{address}{self._only_model(address)}" if address.endswith("/") else address
        self.shown, self.file_name = shown(self._address), file_name_of(self._address)

    def fetch(self, known: str | None, write: Write, max_bytes: int) -> str | None:
        """See `RemoteSource`."""
        with asking(self.shown):
            files, path = self._opened(self._address)
            revision, size = _state(files, path)
            if known and revision == known:
                return None
            check_size(size, max_bytes, self.shown)
            write(_pieces(files, path))
            if _state(files, path) != (revision, size):
                raise SourceUnavailable(f"{self.shown} cannot be fetched: it was replaced meanwhile; it is tried again")
            return revision

    def beside(self, name: str, max_bytes: int) -> bytes | None:
        """See `RemoteSource`. Who may not list a bucket is told of a missing object that it is forbidden."""
        with asking(self.shown):
            files, path = self._opened(self._address)
            place = str(PurePosixPath(path).with_name(name))
            try:
                _, size = _state(files, place)
                check_size(size, max_bytes, f"{name} beside {self.shown}")
                return b"".join(_pieces(files, place))
            except (FileNotFoundError, PermissionError):
                return None

    def _only_model(self, folder: str) -> str:
        with asking(shown(folder)):
            files, path = self._opened(folder)
            names = [PurePosixPath(found).name for found in files.ls(path, detail=False)]
        models = [name for name in names if name.lower().endswith(MODEL_SUFFIXES)]
        if len(models) == 1:
            return models[0]
        found = ", ".join(map(printable, sorted(models or names)[:_MOST_TOLD])) or "nothing"
        raise ModelFileError(
            f"{shown(folder)} has {len(models)} files that end in {', '.join(MODEL_SUFFIXES)} ({found}), expected one; "
            "name the file in the address"
        )

    def _opened(self, address: str) -> tuple[Any, str]:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - of an extra

        files, path = url_to_fs(address, **_OPTIONS[self._scheme], **_FRESH)
        return files, path


def _state(files: Any, path: str) -> tuple[str, int]:
    files.invalidate_cache()
    found = files.info(path)
    if found.get("type") == "directory":
        raise FileNotFoundError(f"{path} is a folder; name a file in it")
    revision = found.get("generation") or found.get("ETag") or found.get("etag") or found.get("LastModified") or ""
    return str(revision), int(found["size"])


def _pieces(files: Any, path: str) -> Iterator[bytes]:
    with files.open(path, "rb", block_size=_BLOCK_BYTES, cache_type="readahead") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
