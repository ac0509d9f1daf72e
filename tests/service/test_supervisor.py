"""Workers that die while a broken file lies in the model's place: the others go on, and it is tried again."""

from pathlib import Path

import httpx

from service.supervisor import RETRY_S
from tests.processes import STARTED, read_until, running_service, wait_for_all, workers_of
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL


def test_a_worker_that_cannot_start_again_does_not_end_the_others(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    with running_service("--model-path", path, "--workers", 2) as service:
        wait_for_all(service, 2)
        path.write_bytes(b"broken")
        workers_of(service)[0].kill()
        read_until(service, f"the others go on, and it is tried again in {RETRY_S:g} s")
        for _ in range(5):
            answer = httpx.post(
                f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers={"Content-Type": "image/png"}
            )
            assert answer.json()["label"] == "Ankle boot"
        path.write_bytes(SHIPPED_MODEL.read_bytes())
        read_until(service, STARTED)
        assert len(workers_of(service)) == 2
        assert service.stop() == 0
