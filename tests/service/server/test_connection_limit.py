"""More clients than may be connected: idle ones make room, and health is answered whatever happens."""

import asyncio
import re
import resource
from collections.abc import Iterator

import psutil
import pytest

from service.server.connection_limit import RESERVED_FILES, ConnectionLimit, most_connections
from tests.connections import Connection, as_request, close, connect, read_answer
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ANKLE_BOOT

MOST = 8
IMAGE = ANKLE_BOOT.read_bytes()


class Client:
    def __init__(self) -> None:
        self.gone = False

    def let_go(self) -> None:
        self.gone = True


@pytest.fixture
def clients() -> list[Client]:
    return [Client() for _ in range(4)]


@pytest.fixture
def limit(clients: list[Client]) -> ConnectionLimit:
    limit = ConnectionLimit(3)
    for client in clients[:3]:
        limit.enter(client)
    return limit


def test_the_one_that_is_idle_for_longest_makes_room(limit: ConnectionLimit, clients: list[Client]) -> None:
    limit.begin(clients[0])
    limit.begin(clients[1])
    limit.end(clients[0])
    limit.enter(clients[3])
    assert [client.gone for client in clients] == [False, False, True, False]
    limit.leave(clients[2])
    assert not limit.exceeded


def test_where_all_are_at_work_nobody_is_let_go_and_the_new_one_is_one_too_many(
    limit: ConnectionLimit, clients: list[Client]
) -> None:
    for client in clients[:3]:
        limit.begin(client)
    limit.enter(clients[3])
    assert not any(client.gone for client in clients)
    assert limit.exceeded
    limit.leave(clients[0])
    assert not limit.exceeded


def test_it_is_told_once_and_not_for_each(
    limit: ConnectionLimit, clients: list[Client], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        limit.enter(Client())
    assert len(caplog.records) == 1
    assert "3 clients are connected, as many as may be" in caplog.text


def test_the_limit_of_open_files_is_raised_and_bounds_the_rest() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert most_connections(400) == 400
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400 + RESERVED_FILES
        assert most_connections(10) == 10
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service("--max-connections", MOST, *FAKE_ENGINE) as service:
        yield service


async def opened(service: Service, begin: bytes = b"") -> Connection:
    connection = await connect(service)
    connection[1].write(begin)
    return connection


async def status_of(service: Service, request: bytes) -> int:
    connection = await opened(service, request)
    answer = await read_answer(connection[0])
    await close(connection)
    return answer.status


async def close_all(connections: list[Connection]) -> None:
    await asyncio.gather(*map(close, connections))


def test_idle_clients_do_not_keep_others_out(service: Service) -> None:
    async def scenario() -> None:
        idle = [await opened(service, b"GET /half a head") for _ in range(5 * MOST)]
        for _ in range(3):
            assert await status_of(service, as_request(IMAGE)) == 200
        await close_all(idle)

    asyncio.run(scenario())
    assert re.search(rf"{MOST} clients are connected, as many as may be", service.rest_of_log)


def test_where_all_wait_for_answers_health_is_answered_and_others_are_asked_to_come_again(service: Service) -> None:
    async def scenario() -> None:
        busy = [await opened(service, as_request(IMAGE)[:-1]) for _ in range(MOST)]
        async with asyncio.timeout(30):
            # Until the heads of all of them have been read.
            while await status_of(service, as_request(IMAGE)) != 503:
                pass
        refused = await opened(service, as_request(IMAGE))
        answer = await read_answer(refused[0])
        assert answer.headers["retry-after"] == "1"
        assert "as many clients are connected" in answer.body["detail"]
        for path in ("/health/live", "/health/ready", "/v2/health/live", "/metrics"):
            assert await status_of(service, as_request(path=path, method="GET")) == 200
        for reader, writer in busy:
            writer.write(IMAGE[-1:])
            assert (await read_answer(reader)).status == 200
        await close_all([*busy, refused])
        assert await status_of(service, as_request(IMAGE)) == 200

    asyncio.run(scenario())


def test_few_open_files_bound_the_clients_before_the_system_does() -> None:
    files = RESERVED_FILES + 20
    before = ("sh", "-c", f'ulimit -n {files} && exec "$@"', "sh")
    with running_service("--max-connections", 5_000, *FAKE_ENGINE, before=before) as service:

        async def scenario() -> None:
            idle = [await opened(service) for _ in range(3 * files)]
            assert await status_of(service, as_request(path="/health/live", method="GET")) == 200
            await close_all(idle)

        asyncio.run(scenario())
        assert psutil.Process(service.process.pid).num_fds() < files
        assert "20 clients are connected" in service.rest_of_log
