"""Many callers at once, callers who leave, and workers that die, against real uvicorn and the shipped model."""

import asyncio
import signal
from collections import Counter

import httpx
import pytest

from tests.connections import Answer, as_request, ask, by_class, connect
from tests.processes import STARTED, Service, read_until, running_service, wait_for_all, workers_of
from tests.samples import ANKLE_BOOT, SAMPLE_FILES

IMAGES = [file.read_bytes() for file in SAMPLE_FILES]


async def ask_on_many_connections(service: Service, connections: int, each: int) -> list[tuple[int, Answer]]:
    """Which image was sent, and the answer to it; the connections go through the images out of step."""

    async def one(number: int) -> list[tuple[int, Answer]]:
        reader, writer = await connect(service)
        sent = [(number * 37 + turn) % len(IMAGES) for turn in range(each)]
        answers = [(index, await ask(reader, writer, IMAGES[index])) for index in sent]
        writer.close()
        await writer.wait_closed()
        return answers

    return [answer for answers in await asyncio.gather(*map(one, range(connections))) for answer in answers]


@pytest.fixture(scope="module")
def expected(service: Service) -> list[list[float]]:
    """What each image is answered when it is asked about alone."""
    alone = asyncio.run(ask_on_many_connections(service, 1, len(IMAGES)))
    rows = [by_class(answer.body) for _, answer in alone]
    assert len({tuple(f"{value:.2g}" for value in row) for row in rows}) == len(IMAGES)  # they can be told apart
    return rows


def test_each_of_10_000_concurrent_requests_gets_its_own_images_answer(
    service: Service, expected: list[list[float]]
) -> None:
    answers = asyncio.run(ask_on_many_connections(service, 100, 100))
    assert len(answers) == 10_000
    for index, answer in answers:
        assert answer.status == 200
        assert by_class(answer.body) == pytest.approx(expected[index], rel=1e-3)


def test_callers_who_leave_at_any_moment_harm_nobody(service: Service, expected: list[list[float]]) -> None:
    request = as_request(IMAGES[0])

    async def leave(length: int) -> None:
        _, writer = await connect(service)
        writer.write(request[:length])
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run() -> list[tuple[int, Answer]]:
        leaving = [leave(length) for length in (*range(1, len(request), 4), *[len(request)] * 200)]
        answers, *_ = await asyncio.gather(ask_on_many_connections(service, 20, 20), *leaving)
        return answers

    for index, answer in asyncio.run(run()):
        assert by_class(answer.body) == pytest.approx(expected[index], rel=1e-3)


def test_too_many_at_once_get_200_or_503_and_nothing_else(expected: list[list[float]]) -> None:
    # One image a call, and few that wait: slower than images come in.
    limits = ("--max-batch-size", 1, "--max-queue-size", 4, "--max-images-per-request", 4)
    with running_service(*limits) as service:
        answers = asyncio.run(ask_on_many_connections(service, 300, 5))
        counts = Counter(answer.status for _, answer in answers)
        assert counts.keys() == {200, 503}
        assert counts[200] >= 4
        for index, answer in answers:
            if answer.status == 200:
                assert by_class(answer.body) == pytest.approx(expected[index], rel=1e-3)
            else:
                assert answer.headers["retry-after"] == "1"
        ((index, after),) = asyncio.run(ask_on_many_connections(service, 1, 1))
        assert by_class(after.body) == pytest.approx(expected[index], rel=1e-3)
        service.stop()
        assert "Traceback" not in service.rest_of_log


def test_what_was_accepted_is_answered_after_the_service_was_told_to_stop(expected: list[list[float]]) -> None:
    async def run(service: Service) -> list[Answer]:
        connections = [await connect(service) for _ in range(50)]
        asking = [asyncio.create_task(ask(*pair, IMAGES[0])) for pair in connections]
        first = await asking[0]
        service.process.send_signal(signal.SIGTERM)
        answers = [first, *await asyncio.gather(*asking[1:])]
        for _, writer in connections:
            writer.close()
            await writer.wait_closed()
        return answers

    with running_service("--max-batch-size", 1) as service:
        for answer in asyncio.run(run(service)):
            assert by_class(answer.body) == pytest.approx(expected[0], rel=1e-3)
        assert service.process.wait(30) == 0


def test_a_worker_that_dies_is_replaced() -> None:
    with running_service("--workers", 2) as service:
        wait_for_all(service, 2)
        workers = workers_of(service)
        assert len(workers) == 2
        workers[0].kill()
        read_until(service, STARTED)
        replaced = workers_of(service)
        assert len(replaced) == 2
        assert workers[0] not in replaced
        for _ in range(8):
            answer = httpx.post(
                f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers={"Content-Type": "image/png"}
            )
            assert answer.json()["label"] == "Ankle boot"
