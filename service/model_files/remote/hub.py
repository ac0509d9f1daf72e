"""A model in a repository of the Hugging Face Hub. Knows no other kind of source but https, by which it comes."""

from typing import Any

from service.model_address import shown
from service.model_files.remote.https_source import HttpsSource
from service.model_files.remote.source import CONNECT_S, Write, asking, check_size, need_package


class HubSource:
    """See `RemoteSource`. A revision is the file's ETag, so that other commits change nothing."""

    def __init__(self, address: str) -> None:
        """Raises ModelFileError where the package for it is missing."""
        self.shown = shown(address)
        need_package("huggingface_hub", "hf", self.shown)
        path, _, revision = address.partition("://")[2].partition("@")
        owner, name, self._file = path.split("/", 2)
        self._repository, self._revision = f"{owner}/{name}", revision or "main"
        self.file_name = self._file.rpartition("/")[2]
        self._commit = self._revision

    def fetch(self, known: str | None, write: Write, max_bytes: int) -> str | None:
        """See `RemoteSource`."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415 - of an extra

        with asking(self.shown):
            found = get_hf_file_metadata(
                hf_hub_url(self._repository, self._file, revision=self._revision), timeout=CONNECT_S
            )
        if known and found.etag == known:
            return None
        check_size(found.size, max_bytes, self.shown)
        self._commit = found.commit_hash or self._revision
        self._source(self._file).fetch(None, write, max_bytes)
        return found.etag or found.commit_hash or ""

    def beside(self, name: str, max_bytes: int) -> bytes | None:
        """See `RemoteSource`; of the same commit."""
        folder, slash, _ = self._file.rpartition("/")
        return self._source(f"{folder}{slash}{name}").beside(name, max_bytes)

    def _source(self, file: str) -> HttpsSource:
        from huggingface_hub import hf_hub_url  # noqa: PLC0415
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # noqa: PLC0415

        headers: dict[str, Any] = build_hf_headers()
        source = HttpsSource(hf_hub_url(self._repository, file, revision=self._commit), headers)
        source.shown = self.shown
        return source
