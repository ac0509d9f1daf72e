"""A folder to fetch into, and a web server to fetch from."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.model_files.remote.remote_model import RemoteModel, source_of
from service.model_files.snapshot import ModelFileLimits
from tests.service.model_files.remote.web_server import WebServer, web_server

RemoteOf = Callable[..., RemoteModel]


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as served:
        yield served


@pytest.fixture
def remote_of(tmp_path: Path) -> RemoteOf:
    """The model at an address, fetched into a folder of this test."""

    def make(
        address: str,
        max_bytes: int = 1 << 20,
        sha256: str | None = None,
        timeout_s: float = 60,
        kept: Path | None = None,
    ) -> RemoteModel:
        folder = tmp_path / "fetched"
        folder.mkdir(exist_ok=True)
        return RemoteModel(source_of(address), folder, ModelFileLimits(max_bytes, sha256), timeout_s, kept)

    return make
