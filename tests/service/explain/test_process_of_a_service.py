"""The explaining process of a real service: it explains the version that answers, and goes with the service."""

import signal
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from models.file_version import file_version
from tests.processes import explaining, running_service
from tests.reloads import other_model as other_model  # noqa: PLC0414 - a fixture
from tests.reloads import put
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL

IMAGE = {"content": ANKLE_BOOT.read_bytes(), "headers": {"Content-Type": "image/png", "Accept": "application/json"}}
SLOW = "/plot/attribution?method=integrated-gradients&format=json"
TIMEOUT_S = 100


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    return path


def last_layer(url: str) -> tuple[str, list[float]]:
    """The version that is explained, and what its last layer makes of the image."""
    answer = httpx.post(f"{url}/plot/feature-maps?layer=dense_1", **IMAGE, timeout=TIMEOUT_S).raise_for_status()
    return answer.headers["model-version"], answer.json()["layers"][0]["values"]


def predicted(url: str) -> list[float]:
    found = httpx.post(f"{url}/predict", **IMAGE, timeout=TIMEOUT_S).raise_for_status().json()["probabilities"]
    return [entry["probability"] for entry in sorted(found, key=lambda entry: entry["index"])]


def test_it_explains_what_answers_from_the_page_on_until_the_service_stops(model: Path, other_model: Path) -> None:
    with running_service("--model-path", model) as service:
        url, old, new = service.url, file_version(model), file_version(other_model)
        summary = httpx.get(f"{url}/model-summary", timeout=TIMEOUT_S).json()
        assert summary["parameters"] == 333_526
        assert explaining(service) == []

        httpx.get(url, timeout=TIMEOUT_S)
        while not (found := explaining(service)):
            time.sleep(0.005)  # the page is answered before it is started
        (process,) = found
        version, values = last_layer(url)
        assert process.nice() > 0
        assert version == old
        assert values == pytest.approx(predicted(url), abs=2e-6)
        assert explaining(service) == [process]

        put(other_model.read_bytes(), model)
        assert last_layer(url) == (old, values)
        process.kill()
        while process.is_running():
            time.sleep(0.005)
        # Though the file of the version that answers has no name any longer.
        assert last_layer(url) == (old, values)

        httpx.post(f"{url}/v2/repository/models/best-cnn-model/load", timeout=TIMEOUT_S).raise_for_status()
        version, others = last_layer(url)
        assert version == new
        assert others == pytest.approx(predicted(url), abs=2e-6)
        assert others != pytest.approx(values, abs=0.1)

        (process,) = explaining(service)
        assert service.stop() == 0
        assert not process.is_running()
        assert "Traceback" not in service.rest_of_log


def test_a_file_that_is_written_over_is_told_and_the_process_goes_with_a_killed_service(model: Path) -> None:
    with running_service("--model-path", model) as service:
        with model.open("ab") as file:
            file.write(b" ")
        answer = httpx.get(f"{service.url}/plot/kernels", timeout=TIMEOUT_S)
        assert answer.status_code == 503
        assert "has been written over since" in answer.json()["detail"]
        assert "retry-after" not in answer.headers
        assert max(predicted(service.url)) > 0.9

        with model.open("ab") as file:
            file.truncate(SHIPPED_MODEL.stat().st_size)
        assert httpx.get(f"{service.url}/plot/kernels", timeout=TIMEOUT_S).status_code == 200

        (process,) = explaining(service)
        busy = process.cpu_times().user
        asking = threading.Thread(target=_ask_in_vain, args=(f"{service.url}{SLOW}",))
        asking.start()
        while process.cpu_times().user <= busy:
            time.sleep(0.005)
        service.process.send_signal(signal.SIGKILL)
        # In the middle of a call, which nobody waits for any longer.
        _, alive = psutil.wait_procs([process], 10)
        assert not alive
        asking.join()


def _ask_in_vain(url: str) -> None:
    with pytest.raises(httpx.TransportError):  # noqa: PT012 - it asks until nobody answers
        while True:  # so that a call is under way, however late the signal comes
            httpx.post(url, **IMAGE, timeout=TIMEOUT_S)
