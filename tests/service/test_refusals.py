"""A broken model file counts once, however often it is looked at, and by how many workers."""

import signal
from pathlib import Path

import httpx
import pytest

from tests.processes import FAKE_ENGINE, read_until, running_service, wait_for_all
from tests.reloads import outcomes, put
from tests.samples import SHIPPED_MODEL


@pytest.mark.parametrize("workers", [1, 3])
def test_a_broken_file_counts_once(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    refused = "the new model is refused"
    with running_service("--model-path", path, "--watch", "--workers", workers, *FAKE_ENGINE) as service:
        wait_for_all(service, workers)
        put(b"broken", path)
        read_until(service, refused, workers)
        assert outcomes(service.url)["refused"] == 1
        service.process.send_signal(signal.SIGHUP)
        read_until(service, refused, workers)
        assert outcomes(service.url)["refused"] == 1
        asked = httpx.post(f"{service.url}/v2/repository/models/best-cnn-model/load", timeout=60)
        assert asked.status_code == 400
        read_until(service, refused, workers)
        assert outcomes(service.url)["refused"] == 1
        put(b"broken", path)  # the same content is another file all the same
        read_until(service, refused, workers)
        assert outcomes(service.url)["refused"] == 2
