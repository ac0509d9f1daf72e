"""Where no temporary file can be written the answer says so and blames nobody, and what needs none is answered."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.processes import FAKE_ENGINE, run_to_end, running_service, wait_for_all
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL

PNG = {"Content-Type": "image/png"}
LOAD = "/v2/repository/models/best-cnn-model/load"
# Root may write everywhere, but for this.
MORTAL = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def changed_model(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    return path


def asked(url: str, engine: str = "tensorflow") -> list[int]:
    """The statuses of everything that needs no file; without a model there is nothing to explain."""
    image = ANKLE_BOOT.read_bytes()
    posts, gets = ["/predict"], ["/plot/history", "/metrics", "/", "/docs"]
    if engine != "fake":
        posts += ["/plot/feature-maps?layer=conv2d", "/plot/attribution?method=grad-cam"]
        gets += ["/model-summary", "/plot?style=blocks", "/plot", "/plot/kernels"]
    return [httpx.post(url + path, content=image, headers=PNG, timeout=60).status_code for path in posts] + [
        httpx.get(url + path, timeout=60).status_code for path in gets
    ]


@pytest.mark.parametrize(("workers", "engine"), [(1, "tensorflow"), (2, "fake")])
def test_a_folder_that_may_not_be_written_to(tmp_path: Path, temporary: Path, workers: int, engine: str) -> None:
    path = changed_model(tmp_path)
    options = ("--model-path", path, "--workers", workers, "--engine", engine)
    with running_service(*options, before=MORTAL, TMPDIR=str(temporary)) as service:
        wait_for_all(service, workers)
        asked(service.url, engine)  # once what explains the model has its copy it needs no other
        (folder,) = temporary.iterdir()
        folder.chmod(0o555)
        path.write_bytes(path.read_bytes() + b" ")
        refused = httpx.post(service.url + LOAD, timeout=60)
        assert refused.status_code == 507
        assert "cannot write to its folder for temporary files (Permission denied)" in refused.json()["error"]
        assert set(asked(service.url, engine)) == {200}
        folder.chmod(0o755)
        assert httpx.post(service.url + LOAD, timeout=60).status_code == 200


def test_a_folder_without_room(tmp_path: Path, temporary: Path) -> None:
    """The system's limit for the size of files stands for a full disk: writing fails half-way."""
    path = changed_model(tmp_path)
    with running_service("--model-path", path, *FAKE_ENGINE, TMPDIR=str(temporary)) as service:
        subprocess.run(["prlimit", f"--pid={service.process.pid}", "--fsize=1000000:"], check=True)
        path.write_bytes(path.read_bytes() + b" ")
        refused = httpx.post(service.url + LOAD, timeout=60)
        assert refused.status_code == 507
        assert "cannot write to its folder for temporary files (File too large)" in refused.json()["error"]
        assert list(temporary.rglob("model-*")) == []
        assert set(asked(service.url, "fake")) == {200}
        subprocess.run(["prlimit", f"--pid={service.process.pid}", "--fsize=unlimited:"], check=True)
        assert httpx.post(service.url + LOAD, timeout=60).status_code == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_that_cannot_start_for_want_of_room_says_so(tmp_path: Path, temporary: Path, workers: int) -> None:
    ended = run_to_end(
        "service", "--workers", workers, *FAKE_ENGINE, before=["prlimit", "--fsize=1000000"], TMPDIR=str(temporary)
    )
    assert ended.returncode == 3
    assert "cannot write to its folder for temporary files (File too large)" in ended.stderr
    assert "Traceback" not in ended.stderr
