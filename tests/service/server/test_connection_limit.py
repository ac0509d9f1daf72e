"""More connections than there is room for: idle ones make room, health is answered throughout, and the log says so."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import psutil
import pytest

from service.server.connection_limit import ConnectionLimit
from tests.connections import Answer, as_request, close, connect, read_answer
from tests.processes import FAKE_ENGINE, Service, read_until, running_service
from tests.samples import ANKLE_BOOT

IMAGE = ANKLE_BOOT.read_bytes()
# Whoever reads the body says so, and from then on the connection is busy.
HALF_A_BODY = as_request(IMAGE, extra="Expect: 100-continue\r\n")[:-100]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FULL = "connections are open, as many as may"
OVER = "connections are open again"
MOST = 10


class FakeConnection:
    def __init__(self) -> None:
        self.closed = False

    def close_idle(self) -> None:
        self.closed = True


def full(most: int) -> tuple[ConnectionLimit, list[FakeConnection]]:
    limit, connections = ConnectionLimit(most), [FakeConnection() for _ in range(most)]
    assert all(limit.opened(connection) for connection in connections)
    return limit, connections


def test_the_one_that_idles_longest_makes_room() -> None:
    limit, (first, second, third) = full(3)
    limit.busy(first)
    limit.busy(second)
    limit.idle(second)
    assert limit.opened(FakeConnection())
    assert limit.opened(FakeConnection())
    assert [connection.closed for connection in (first, second, third)] == [False, True, True]


def test_where_none_idles_there_is_room_for_short_requests_only() -> None:
    limit, connections = full(3)
    for connection in connections:
        limit.busy(connection)
    late = [FakeConnection() for _ in range(100)]
    assert not any(limit.opened(connection) for connection in late)
    assert [connection.closed for connection in late] == [True] * 36 + [False] * 64
    limit.closed(connections[0])
    assert limit.opened(FakeConnection())


def test_the_log_says_once_that_it_begins_and_once_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    limit, _ = full(10)
    more = [FakeConnection() for _ in range(10)]
    for connection in more:
        limit.opened(connection)
    assert len(caplog.messages) == 1
    assert f"10 {FULL}" in caplog.messages[0]
    for connection in more:
        limit.closed(connection)
    assert len(caplog.messages) == 2
    assert caplog.messages[1] == "fewer than 10 connections are open again; meanwhile 10 had no room"


@pytest.fixture(scope="module")
def small() -> Iterator[Service]:
    with running_service("--max-connections", MOST, "--health-route", "/ping", *FAKE_ENGINE) as service:
        yield service


@asynccontextmanager
async def held(service: Service, count: int, begin: bytes = b"") -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections on which `begin` was sent and nothing else comes."""
    async with AsyncExitStack() as stack:
        readers = []
        for _ in range(count):
            reader, writer = await connect(service)
            stack.push_async_callback(close, (reader, writer))
            writer.write(begin)
            await writer.drain()
            readers.append(reader)
        yield readers


async def answer(service: Service, request: bytes) -> Answer:
    connection = reader, writer = await connect(service)
    writer.write(request)
    try:
        return await asyncio.wait_for(read_answer(reader), 20)
    finally:
        await close(connection)


def test_idle_connections_keep_nobody_out(small: Service) -> None:
    async def run() -> None:
        async with held(small, 3 * MOST) as readers:
            assert (await answer(small, as_request(IMAGE))).status == 200
            for reader in readers[:MOST]:  # the oldest have made room
                assert await reader.read() == b""
        read_until(small, OVER)

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v2/health/ready", "/metrics", "/ping"])
def test_where_all_are_busy_health_is_answered_and_others_learn_why(small: Service, path: str) -> None:
    async def run() -> None:
        async with held(small, MOST, HALF_A_BODY) as readers:
            for reader in readers:
                assert await reader.readexactly(len(CONTINUE)) == CONTINUE
            refused = await answer(small, as_request(IMAGE))
            assert refused.status == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.headers["connection"] == "close"
            assert f"{MOST} connections are open and busy" in refused.body["detail"]
            health = await answer(small, as_request(path=path, method="GET"))
            assert health.status == 200
            assert health.headers["connection"] == "close"
        read_until(small, OVER)

    asyncio.run(run())


def test_a_process_that_may_open_few_files_has_fewer_connections() -> None:
    few = ("sh", "-c", 'ulimit -n 320; exec "$@"', "sh")
    with running_service(*FAKE_ENGINE, before=few) as service:
        assert "each process may open 320 files (ulimit -n), which is room for 80 connections" in service.log

        async def run() -> None:
            async with held(service, 500):
                for _ in range(10):
                    assert (await answer(service, as_request(path="/health/live", method="GET"))).status == 200
                    assert (await answer(service, as_request(IMAGE))).status == 200

        asyncio.run(run())
        read_until(service, f"80 {FULL}")
        read_until(service, OVER)


def test_it_asks_the_system_for_as_many_files_as_its_connections_need() -> None:
    low = ("sh", "-c", 'ulimit -Sn 256; exec "$@"', "sh")
    with running_service("--max-connections", 500, *FAKE_ENGINE, before=low) as service:
        assert psutil.Process(service.process.pid).rlimit(psutil.RLIMIT_NOFILE)[0] >= 700
        assert "ulimit" not in service.log
        assert httpx.get(f"{service.url}/health/live").status_code == 200
