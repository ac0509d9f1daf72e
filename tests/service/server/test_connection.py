"""Callers who keep a connection for nothing lose it in time, and nobody else does. Against real uvicorn."""

import asyncio
import socket
from collections.abc import Iterator
from itertools import repeat
from urllib.parse import urlsplit

import httpx
import pytest

from tests.connections import read_answer
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ANKLE_BOOT

TIMEOUT_S = 1
IMAGE = ANKLE_BOOT.read_bytes()
HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(IMAGE)}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def impatient() -> Iterator[Service]:
    with running_service("--receive-timeout-s", TIMEOUT_S, *FAKE_ENGINE) as service:
        yield service


async def all_that_comes(service: Service, *pieces: bytes) -> bytes:
    """Whatever is sent back until the other side closes, where nothing follows the pieces."""
    address = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    with_end = await reader.read()
    writer.close()
    return with_end


def closed(service: Service, *pieces: bytes) -> bytes:
    async def run() -> bytes:
        # Longer than is allowed, for a machine that has other work.
        return await asyncio.wait_for(all_that_comes(service, *pieces), 60 * TIMEOUT_S)

    return asyncio.run(run())


def test_a_connection_on_which_nothing_comes_is_closed(impatient: Service) -> None:
    assert closed(impatient) == b""


@pytest.mark.parametrize("length", [1, 40, len(HEAD) - 1])
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(impatient: Service, length: int) -> None:
    assert closed(impatient, HEAD[:length]) == b""


@pytest.mark.parametrize("length", [0, 1, len(IMAGE) - 1])
def test_a_body_that_does_not_come_to_its_end_is_refused(impatient: Service, length: int) -> None:
    head, _, body = closed(impatient, HEAD, IMAGE[:length]).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert f"only {length:,} bytes of the body came in" in body.decode()


def test_a_body_that_drips_is_refused_though_something_comes_all_the_time(impatient: Service) -> None:
    async def run() -> bytes:
        address = urlsplit(impatient.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(HEAD)
        answer = asyncio.ensure_future(reader.read())
        for byte in IMAGE:
            writer.write(bytes([byte]))
            done, _ = await asyncio.wait([answer], timeout=TIMEOUT_S / 20)
            if done:
                break
        writer.close()
        return await answer

    assert asyncio.run(run()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("rest", [b"", b"0\r\n", b"0\r\nX: x"])
def test_nor_are_the_chunks_and_trailers_of_one(impatient: Service, rest: bytes) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert closed(impatient, head + b"1\r\nx\r\n" + rest).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_nobody_reads_is_not_waited_for_after_the_answer(impatient: Service) -> None:
    answer = closed(impatient, b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"1")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_is_not_read_is_not_kept(impatient: Service) -> None:
    address = urlsplit(impatient.url)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        caller.connect((address.hostname, address.port))
        caller.settimeout(60 * TIMEOUT_S)
        # More answers than the system's own buffers hold; the connection is reset while they are waited for.
        with pytest.raises(ConnectionError):
            list(map(caller.sendall, repeat(request * 100)))


def test_a_caller_who_comes_back_on_the_same_connection_finds_it_open(impatient: Service) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(base_url=impatient.url) as client:
            streams = set()
            for _ in range(3):
                answer = await client.post("/predict", content=IMAGE, headers={"Content-Type": "image/png"})
                assert answer.status_code == 200
                streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                await asyncio.sleep(TIMEOUT_S)  # the time is what is tried here
            assert len(streams) == 1

    asyncio.run(run())


def test_two_requests_at_once_on_one_connection_are_both_answered(impatient: Service) -> None:
    last = HEAD.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = closed(impatient, HEAD + IMAGE + last + IMAGE)
    assert answer.count(b"HTTP/1.1 200 ") == 2


def test_a_connection_idles_for_as_long_as_is_said_and_ends_with_the_service() -> None:
    async def run(service: Service, *, stop: bool) -> None:
        address = urlsplit(service.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_answer(reader)).status == 200
        if stop:
            service.process.terminate()
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()

    with running_service("--keep-alive-s", 0.5, *FAKE_ENGINE) as service:
        asyncio.run(run(service, stop=False))
    with running_service("--keep-alive-s", 600, "--drain-timeout-s", 600, *FAKE_ENGINE) as service:
        asyncio.run(run(service, stop=True))
        assert service.process.wait(20) == 0
