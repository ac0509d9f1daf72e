"""Whoever is refused early reads why, however slowly it goes on sending, and is not read for ever."""

import asyncio
import hashlib
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from service.server import lingering_close
from tests.connections import as_request, close, connect_to, read_answer
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ANKLE_BOOT
from tests.service.server.serving import serving

KEY = "correct horse battery staple"
LARGEST = 1_000_000
TIMEOUT_S = 1
PIECE = bytes(100_000)


@pytest.fixture(scope="module")
def strict() -> Iterator[Service]:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    options = ("--api-keys", digest, "--max-body-bytes", LARGEST, "--receive-timeout-s", TIMEOUT_S)
    with running_service(*options, *FAKE_ENGINE) as service:
        yield service


def head(size: int, *, key: str = KEY, more: str = "") -> bytes:
    lines = f"X-API-Key: {key}\r\n{more}"
    return as_request(extra=lines).replace(b"Length: 0", b"Length: %d" % size)


REFUSED = [
    (head(100 * LARGEST), 413),
    (head(100 * LARGEST, more="Connection: close\r\n"), 413),
    (head(LARGEST, key="wrong"), 401),
    (head(LARGEST, key="wrong", more="Connection: close\r\n"), 401),
    (head(LARGEST).replace(b"Host: x", b"Host: x\r\nHost: y"), 400),
]


@pytest.mark.parametrize(("request_", "status"), REFUSED)
def test_who_sends_all_before_reading_reads_the_answer(strict: Service, request_: bytes, status: int) -> None:
    address = urlsplit(strict.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as caller:
        caller.sendall(request_)
        for _ in range(100):
            caller.sendall(PIECE)
        answer = b"".join(iter(lambda: caller.recv(65536), b""))
    first, _, _ = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in first.lower()


def test_a_slow_line_has_longer_than_a_request_may_take(strict: Service) -> None:
    async def run() -> int:
        connection = reader, writer = await connect_to(strict.url)
        writer.write(head(100 * LARGEST))
        for _ in range(20):
            writer.write(PIECE)
            await writer.drain()
            await asyncio.sleep(0.075)  # which is longer than TIMEOUT_S in all; the time is what is tried here
        answer = await read_answer(reader)
        await close(connection)
        return answer.status

    assert asyncio.run(run()) == 413


def test_a_body_that_is_here_already_costs_no_connection(strict: Service) -> None:
    async def run() -> None:
        connection = reader, writer = await connect_to(strict.url)
        for key, status in (("wrong", 401), (KEY, 200), ("wrong", 401)):
            writer.write(as_request(ANKLE_BOOT.read_bytes(), extra=f"X-API-Key: {key}\r\n"))
            answer = await read_answer(reader)
            assert answer.status == status
            assert "connection" not in answer.headers
        await close(connection)

    asyncio.run(run())


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


async def send_until_it_ends(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("limits", "piece"),
    [({"MOST_S": 0.2}, b"x"), ({"MOST_BYTES": 10_000_000}, PIECE)],
    ids=["time", "bytes"],
)
def test_nobody_is_read_for_ever(monkeypatch: pytest.MonkeyPatch, limits: dict[str, float], piece: bytes) -> None:
    for name, limit in {"SILENCE_S": 0.2, **limits}.items():
        monkeypatch.setattr(lingering_close, name, limit)

    async def run() -> None:
        async with serving(refuse) as here:
            reader, writer = await here.connect()
            writer.write(head(10**12))
            assert (await read_answer(reader)).status == 413
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(send_until_it_ends(writer, piece), 20)

    asyncio.run(run())


def test_nor_is_whoever_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "SILENCE_S", 0.1)

    async def run() -> None:
        async with serving(refuse) as here:
            _, writer = await here.connect()
            writer.write(head(10**12))
            while not here.protocols or here.protocols[0].parser is not None:  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_those_that_are_read_to_their_end_make_room_for_others() -> None:
    async def run() -> None:
        async with serving(refuse, most=3) as here:
            for _ in range(5):
                reader, writer = await here.connect()
                writer.write(head(10**12))
                assert (await read_answer(reader)).status == 413

    asyncio.run(run())
