"""The recipe for Ray Serve with two replicas: answers, limits, metrics, and one replica killed while it is asked.

`make ray` makes the environment in which Ray is.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from service.settings import ServiceSettings
from tests.processes import Service, running_service
from tests.ray.clusters import PYTHON, ray_cluster
from tests.samples import ANKLE_BOOT, SAMPLE_FILES

REPLICA = "ray::ServeReplica:default:keras-image-service"
BOOT = ANKLE_BOOT.read_bytes()
IMAGES = [file.read_bytes() for file in SAMPLE_FILES[::10]]
MAX_BODY_BYTES = 100_000
RECEIVE_TIMEOUT_S = 1

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs `make ray`")


@pytest.fixture(scope="module")
def ray() -> Iterator[str]:
    """The address of Ray's proxy, before two replicas."""
    limits = {"SERVICE_MAX_BODY_BYTES": str(MAX_BODY_BYTES), "SERVICE_RECEIVE_TIMEOUT_S": str(RECEIVE_TIMEOUT_S)}
    with ray_cluster(2, **limits) as (url, _):
        yield url


@pytest.fixture(scope="module")
def plain() -> Iterator[Service]:
    with running_service() as service:
        yield service


def replicas() -> set[int]:
    found = psutil.process_iter(["cmdline"])
    return {process.pid for process in found if REPLICA in "".join(process.info["cmdline"] or ())}


def counted(ray: str) -> int:
    """How many predictions `/metrics` says were answered."""
    lines = httpx.get(f"{ray}/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith('keras_service_requests_total{route="/predict",status="200"}'))
    return int(float(line.rpartition(" ")[2]))


def predicted(url: str, image: bytes) -> object:
    return httpx.post(f"{url}/predict", content=image, timeout=30).raise_for_status().json()


def test_answers_are_those_of_the_service_alone(ray: str, plain: Service) -> None:
    for image in IMAGES:
        assert predicted(ray, image) == predicted(plain.url, image)


def test_both_replicas_answer_and_metrics_add_them_up(ray: str) -> None:
    assert len(replicas()) == 2
    before = counted(ray)
    for _ in range(20):
        predicted(ray, BOOT)
    assert [counted(ray) - before for _ in range(6)] == [20] * 6  # whichever is asked


@pytest.mark.parametrize("request_id", ["mine-1", None])
def test_the_request_id_is_one_in_ray_and_in_the_service(ray: str, request_id: str | None) -> None:
    headers = {"X-Request-ID": request_id} if request_id else {}
    (found,) = set(httpx.post(f"{ray}/predict", content=BOOT, headers=headers).headers.get_list("x-request-id"))
    assert found == request_id or request_id is None


def test_a_body_that_is_too_large_is_refused(ray: str) -> None:
    answer = httpx.post(f"{ray}/predict", content=bytes(MAX_BODY_BYTES + 1))
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_a_body_that_comes_too_slowly_is_refused_at_its_next_piece(ray: str) -> None:
    def slowly() -> Iterator[bytes]:
        yield BOOT[:100]
        threading.Event().wait(RECEIVE_TIMEOUT_S + 0.5)
        yield BOOT[100:200]
        threading.Event().wait(RECEIVE_TIMEOUT_S)  # else it may come in one piece with the rest, which is taken
        yield BOOT[200:]

    answer = httpx.post(f"{ray}/predict", content=slowly(), timeout=30)
    assert (answer.status_code, answer.json()["status"]) == (408, 408)


def test_errors_are_the_services_own(ray: str) -> None:
    answer = httpx.post(f"{ray}/predict", content=b"no image")
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


@pytest.mark.skipif("replicated" not in ServiceSettings.model_fields, reason="the service has no --replicated")
@pytest.mark.parametrize("call", ["load", "unload"])
def test_models_are_not_loaded_in_one_replica_of_several(ray: str, call: str) -> None:
    answer = httpx.post(f"{ray}/v2/repository/models/best-cnn-model/{call}")
    assert answer.status_code == 501
    assert answer.json()["error"]


def test_a_replica_that_is_killed_costs_no_wrong_answer_and_is_replaced(ray: str, plain: Service) -> None:
    expected = [predicted(plain.url, image) for image in IMAGES]
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def ask(first: int) -> None:
        with httpx.Client(base_url=ray, timeout=30) as client:
            at = first
            while not stop.is_set():
                at = (at + 1) % len(IMAGES)
                try:
                    answer = client.post("/predict", content=IMAGES[at])
                except httpx.TransportError:
                    outcomes["no answer"] += 1
                    continue
                if answer.status_code == 200:
                    outcomes["right" if answer.json() == expected[at] else "wrong"] += 1
                else:
                    outcomes[str(answer.status_code)] += 1

    callers = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    before = replicas()
    for caller in callers:
        caller.start()
    victim = min(before)
    try:
        until(lambda: outcomes["right"] >= 50)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(replicas() - {victim}) == 2)
        right = outcomes["right"]
        until(lambda: outcomes["right"] >= right + 100)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert not outcomes["wrong"]
    assert set(outcomes) <= {"right", "wrong", "500", "503"}
    assert sum(outcomes[status] for status in ("500", "503")) <= len(callers)  # those that it was answering
    for _ in range(40):
        assert predicted(ray, BOOT) == predicted(plain.url, BOOT)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
