"""Workers that cannot start: where others answer they go on, and it is tried again; else the service ends."""

from pathlib import Path

import httpx
from uvicorn.config import STARTUP_FAILURE

from models.file_version import file_version
from tests.processes import FAKE_ENGINE, STARTED, read_until, run_to_end, running_service, wait_for_all, workers_of
from tests.samples import ANKLE_BOOT, ROOT, SHIPPED_MODEL

IMPATIENT = "tests.service.server.impatient"


def test_a_worker_that_cannot_start_again_does_not_end_the_others(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    with running_service("--model-path", path, "--workers", 2, *FAKE_ENGINE, module=IMPATIENT) as service:
        wait_for_all(service, 2)
        path.write_bytes(b"broken")
        workers_of(service)[0].kill()
        read_until(service, "the others go on, and it is tried again in 1 s")
        for _ in range(5):
            answer = httpx.post(f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), timeout=60)
            assert answer.json()["model"]["version"] == file_version(SHIPPED_MODEL)
        path.write_bytes(SHIPPED_MODEL.read_bytes())
        read_until(service, STARTED)
        assert len(workers_of(service)) == 2
        assert service.stop() == 0


def test_nor_does_one_that_dies_of_an_exception_as_it_starts(tmp_path: Path) -> None:
    """Each worker opens its metrics' files as it imports them; where it may not, Python ends it."""
    with running_service("--workers", 2, *FAKE_ENGINE, module=IMPATIENT, TMPDIR=str(tmp_path)) as service:
        wait_for_all(service, 2)
        (metrics,) = tmp_path.glob("state-*/metrics-*")
        aside = metrics.rename(tmp_path / "aside")
        metrics.touch()
        workers_of(service)[0].kill()
        read_until(service, "the others go on, and it is tried again in 1 s")
        answer = httpx.get(f"{service.url}/health/ready", timeout=60)
        assert answer.status_code == 200
        metrics.unlink()
        aside.rename(metrics)
        read_until(service, STARTED)
        failed = service.rest_of_log.count("the others go on")  # more than once, where the machine has other work
        assert 1 <= service.rest_of_log.count("NotADirectoryError") <= failed
        assert service.stop() == 0


def test_a_service_none_of_whose_workers_can_start_ends(tmp_path: Path) -> None:
    """Here for want of a module, which uvicorn alone would start again and again."""
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not for this machine')")
    ended = run_to_end(
        "service", "--port", 0, "--workers", 2, "--engine", "tensorflow", PYTHONPATH=f"{tmp_path}:{ROOT}"
    )
    assert ended.returncode == STARTUP_FAILURE
    assert "could not start" in ended.stderr
