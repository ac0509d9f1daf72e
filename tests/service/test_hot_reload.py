"""New model files at the command line's two edges: several workers, and a signal that comes too early.

What becomes of requests meanwhile is in tests/chaos/test_hot_reload.py.
"""

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from models.file_version import file_version
from tests.processes import FAKE_ENGINE, Service, command, running_service, wait_for_all
from tests.reloads import other_model as other_model  # noqa: PLC0414 - a fixture
from tests.reloads import put
from tests.samples import ROOT, SHIPPED_MODEL


def versions_of(service: Service) -> set[str]:
    """The versions that answer, of whichever worker each of some connections comes to."""
    return {httpx.get(f"{service.url}/v2/models/best-cnn-model").json()["versions"][0] for _ in range(30)}


@pytest.mark.parametrize(("way", "engine"), [("SIGHUP", "tensorflow"), ("load", "fake")])
def test_each_of_several_workers_takes_over_and_none_is_restarted(
    tmp_path: Path, other_model: Path, way: str, engine: str
) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    with running_service("--model-path", path, "--workers", 2, "--engine", engine) as service:
        wait_for_all(service, 2)
        put(other_model.read_bytes(), path)
        if way == "SIGHUP":
            service.process.send_signal(signal.SIGHUP)
        else:
            loaded = httpx.post(f"{service.url}/v2/repository/models/best-cnn-model/load", timeout=60)
            assert loaded.json()["version"] == file_version(other_model)
        while versions_of(service) != {file_version(other_model)}:
            assert service.process.poll() is None
        assert service.stop() == 0
    assert service.rest_of_log.count("serving ") + service.log.count("serving ") == 2


def test_a_signal_that_comes_too_early_is_kept_until_there_is_somebody_to_hear_it(
    tmp_path: Path, other_model: Path
) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    early = subprocess.Popen(
        [*command("service", "--port", 0, "--model-path", path, *FAKE_ENGINE)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = ""
    for line in early.stderr:
        log += line
        if "serving " in line:  # loaded, and not yet running
            put(other_model.read_bytes(), path)
            early.send_signal(signal.SIGHUP)
        if f"version {file_version(other_model)} answers from now on" in line:
            break
    early.send_signal(signal.SIGTERM)
    rest = early.stderr.read()
    assert early.wait() == 0, log + rest
    early.stderr.close()
