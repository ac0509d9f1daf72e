"""Workers that die while a broken file lies in the model's place: the others go on, and it is tried again."""

import os
import signal

import httpx
import psutil
import pytest

from service.supervisor import RETRY_S
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL


def workers_of(service: Service) -> list[int]:
    children = psutil.Process(service.process.pid).children()
    return [child.pid for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def read_until(service: Service, text: str, times: int = 1) -> None:
    while times:
        line = service.process.stderr.readline()
        assert line, f"the service ended before it said {text!r}"
        times -= text in line


def test_a_worker_that_cannot_start_again_does_not_end_the_others(tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    with running_service("--model-path", path, "--workers", 2) as service:
        read_until(service, "Application startup complete", 2 - service.log.count("Application startup complete"))
        path.write_bytes(b"broken")
        os.kill(workers_of(service)[0], signal.SIGKILL)
        read_until(service, f"the others go on, and it is tried again in {RETRY_S:g} s")
        for _ in range(5):
            answer = httpx.post(
                f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers={"Content-Type": "image/png"}
            )
            assert answer.json()["label"] == "Ankle boot"
        path.write_bytes(SHIPPED_MODEL.read_bytes())
        read_until(service, "Application startup complete")
        assert len(workers_of(service)) == 2
        assert service.stop() == 0
