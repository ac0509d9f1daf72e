"""Hostile pictures sent to the running service: it answers each, goes on answering others, and ends when it is told."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from service.inference.decoding_processes import PROCESSES
from tests.attacks import pictures
from tests.connections import Answer, Connection, as_request, close, connect, read_answer
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ANKLE_BOOT

REFUSED = 422
# Its own processor time for one image: reading 10 MB, and handing them on.
MOST_CPU_S = 0.5


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    # What a decoding process may take is processor time, of which it has little beside others.
    with running_service(*FAKE_ENGINE, "--request-timeout-s", 100) as service:
        yield service


def decoding_processes(service: Service) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(service.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it was being replaced
            if "decoding_process" in " ".join(child.cmdline()):
                found.append(child)
    return found


def cpu_seconds(service: Service) -> float:
    """Without what its children took."""
    times = psutil.Process(service.process.pid).cpu_times()
    return float(times.user + times.system)


async def answer_to(service: Service, content: bytes) -> Answer:
    connection = reader, writer = await connect(service)
    writer.write(as_request(content))
    try:
        return await read_answer(reader)
    finally:
        await close(connection)


async def ready(service: Service, workers: int = 1) -> dict[psutil.Process, float]:
    """The decoding processes of all workers, once they have started: they step back behind their worker then.

    With the seconds of processor time that each took so far.
    """
    while True:
        await asyncio.sleep(0)
        with suppress(psutil.NoSuchProcess):  # it was being replaced
            found = {child: child.cpu_times().user for child in decoding_processes(service)}
            if len(found) == workers * PROCESSES and all(child.nice() > 0 for child in found):
                return found


async def at_work(before: dict[psutil.Process, float]) -> psutil.Process:
    """One that has taken processor time since, as soon as it has."""
    while True:
        await asyncio.sleep(0)
        for child, user in before.items():
            if child.cpu_times().user > user + 0.1:
                return child


async def sent(service: Service, content: bytes) -> Connection:
    """A connection on which an image was sent; its answer is not waited for."""
    while True:
        try:
            connection = _, writer = await connect(service)
        except OSError:  # a worker says that it has started just before it listens
            continue
        writer.write(as_request(content))
        return connection


@pytest.mark.parametrize("attack", pictures.ALL, ids=lambda attack: attack.__name__)
def test_a_hostile_picture_costs_the_service_next_to_nothing(service: Service, attack: pictures.Attack) -> None:
    content = attack()
    before = cpu_seconds(service)
    answer = asyncio.run(answer_to(service, content))
    assert cpu_seconds(service) - before < MOST_CPU_S
    assert answer.status in {200, REFUSED}, answer.content
    if answer.status == REFUSED:
        assert answer.body["detail"].startswith("the ")


def test_others_are_answered_meanwhile_and_the_work_ends_where_its_client_leaves(service: Service) -> None:
    async def scenario() -> None:
        children = await ready(service)
        connections = [await sent(service, pictures.bmp_of_short_lines()) for _ in range(4 * PROCESSES)]
        busy = await at_work(children)
        for _ in range(20):
            assert (await answer_to(service, ANKLE_BOOT.read_bytes())).status == 200
        for connection in connections:
            await close(connection)
        gone, _ = await asyncio.to_thread(psutil.wait_procs, list(children), 20)
        assert busy in gone

    asyncio.run(scenario())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_does_not_wait_for_what_is_decoded(workers: int) -> None:
    async def scenario(service: Service) -> list[psutil.Process]:
        before = await ready(service, workers)
        connections = [await sent(service, pictures.bmp_of_short_lines()) for _ in range(8)]
        await at_work(before)
        children = decoding_processes(service)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.process.wait, 60) == 0
        assert time.monotonic() - began < 20  # of the 30 s in which it stops otherwise
        for connection in connections:
            await close(connection)
        return children

    with running_service(*FAKE_ENGINE, "--workers", workers, "--drain-timeout-s", 1) as service:
        children = asyncio.run(scenario(service))
    _, alive = psutil.wait_procs(children, 20)
    assert alive == []


def test_none_outlives_a_service_that_is_killed() -> None:
    async def scenario(service: Service) -> list[psutil.Process]:
        children = await ready(service)
        connection = await sent(service, pictures.bmp_of_short_lines(2500))
        await at_work(children)
        service.process.kill()
        await close(connection)
        return list(children)

    with running_service(*FAKE_ENGINE) as service:
        _, alive = psutil.wait_procs(asyncio.run(scenario(service)), 20)
    assert alive == []
