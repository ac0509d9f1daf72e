"""The service at a Unix socket: one that nobody listens at is replaced, and nobody's is taken."""

import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from uvicorn.config import STARTUP_FAILURE

from service.server.listening import AddressError, bound
from tests.processes import FAKE_ENGINE, command, run_to_end
from tests.samples import ANKLE_BOOT, ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.sock"


def leave_one(path: Path) -> None:
    """As a process does that is killed."""
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_answers_there_and_leaves_nothing_behind(path: Path, workers: int) -> None:
    leave_one(path)
    process = subprocess.Popen(
        command("service", "--uds", path, "--workers", workers, *FAKE_ENGINE),
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = next(line for line in process.stderr if "Uvicorn running on" in line)
        assert f"unix socket {path}" in line
        assert path.stat().st_mode & 0o777 == 0o666
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x", timeout=60) as client:
            answer = client.post("/predict", content=ANKLE_BOOT.read_bytes(), headers={"Content-Type": "image/png"})
            assert answer.status_code == 200
            told = client.get("/openapi.json", headers={"X-Forwarded-Prefix": "/images"}).json()
            assert told["servers"] == [{"url": "/images"}]
        second = run_to_end("service", "--uds", path, "--model-path", "there-is-none.h5")
        assert second.returncode == STARTUP_FAILURE
        assert f"another process listens at --uds {path}" in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0
    assert not path.exists()


def test_one_that_does_not_listen_yet_has_it_all_the_same(path: Path) -> None:
    with bound("", 0, path), pytest.raises(AddressError, match="another process listens"), bound("", 0, path):
        pass
    assert not path.exists()


def test_a_socket_of_another_program_is_not_taken(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(AddressError, match="another process listens"), bound("", 0, path):
            pass
    assert path.exists()


def test_what_is_no_socket_is_not_replaced(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(AddressError, match="is no socket"), bound("", 0, path):
        pass
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "told"), [("none/service.sock", "is in no folder that there is"), ("x" * 120, "take a shorter path")]
)
def test_a_path_that_cannot_be_is_told(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(AddressError, match=told), bound("", 0, tmp_path / name):
        pass
