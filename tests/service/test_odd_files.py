"""A FIFO, a device or an endless file in a file's place makes nobody wait: not the start, not a reload, not the end."""

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from models.specification import Facts
from service.model_files.beside import sources_beside
from service.model_files.labels import read_labels
from service.model_files.loading import load_model
from service.model_files.snapshot import ModelFileLimits
from tests.processes import FAKE_ENGINE, run_to_end, running_service
from tests.reloads import put

Make = Callable[[Path], object]


def sparse(path: Path) -> None:
    """Of a terabyte that it says it has, and takes no room."""
    with path.open("wb") as file:
        file.write(b"\x89HDF\r\n\x1a\n")
        file.truncate(1 << 40)


ODD: dict[str, tuple[Make, str]] = {
    "a FIFO": (os.mkfifo, "it is a FIFO, not a file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "a terabyte of nothing": (sparse, "has more than the 1,073,741,824 bytes of --max-model-bytes"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    "a folder": (Path.mkdir, "no file that ends in|it is a folder"),
}


@pytest.mark.parametrize("kind", ODD)
def test_it_is_told_in_the_models_place(kind: str, tmp_path: Path) -> None:
    make, reason = ODD[kind]
    make(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match=reason):
        load_model(tmp_path / "model.h5", Facts(), ModelFileLimits())


def test_a_name_that_is_too_long_is_told() -> None:
    with pytest.raises(ModelFileError, match="File name too long"):
        load_model(Path("x" * 5000), Facts(), ModelFileLimits())


@pytest.mark.parametrize("name", ["labels.txt", "model.labels.txt", "class_indices.json", "model.card.json"])
@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a terabyte of nothing", "a link to itself"])
def test_it_is_told_beside_the_model(name: str, kind: str, tmp_path: Path) -> None:
    ODD[kind][0](tmp_path / name)
    with pytest.raises(ModelFileError, match=f"{name} (cannot be read|has more than 1,048,576 bytes)"):
        sources_beside(tmp_path / "model.h5")


def test_it_is_told_where_an_option_names_it() -> None:
    with pytest.raises(ModelFileError, match=r"/dev/zero cannot be read \(it is a device, not a file"):
        read_labels(Path("/dev/zero"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_does_not_start_with_it(workers: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.h5")
    ended = run_to_end("service", *FAKE_ENGINE, "--workers", workers, "--model-path", tmp_path / "model.h5")
    assert ended.returncode == STARTUP_FAILURE
    assert "model.h5 cannot be read: it is a FIFO, not a file" in ended.stderr


def test_a_running_service_goes_on_and_ends_in_order(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "served.h5"
    put(model_file.read_bytes(), path)
    with running_service(*FAKE_ENGINE, "--watch", "--model-path", path) as service:
        version = httpx.get(f"{service.url}/model-card").headers.get("model-version")
        path.unlink()
        os.mkfifo(path)
        service.process.send_signal(signal.SIGHUP)
        while "it is a FIFO, not a file" not in (line := service.next_line()):
            assert line
        assert httpx.get(f"{service.url}/model-card").headers.get("model-version") == version
        assert stat.S_ISFIFO(path.stat().st_mode)
        assert service.stop() == 0
