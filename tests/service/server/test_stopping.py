"""A service that is told to stop answers whatever was sent to it before, also what it has not read yet."""

import asyncio
import signal
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.connections import as_request, read_answer
from tests.processes import FAKE_ENGINE, running_service
from tests.samples import ANKLE_BOOT
from tests.service.server.serving import serving

REQUEST = as_request(ANKLE_BOOT.read_bytes())
# uvicorn looks for the end this often; a process that stood still for longer learns of it before of all else.
UVICORN_LOOKS_S = 0.1


async def answering(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("head_bytes", [0, 30])
def test_a_request_that_lies_in_the_systems_buffers_is_answered_as_the_last(head_bytes: int) -> None:
    async def run() -> None:
        async with serving(answering) as here:
            reader, writer = await here.connect()
            writer.write(REQUEST)
            assert (await read_answer(reader)).content == b"ok"
            writer.write(REQUEST[:head_bytes])
            if head_bytes:
                while not here.protocols[0]._framing_bytes:  # noqa: ASYNC110 - nobody is told when it came
                    await asyncio.sleep(0)
            writer.write(REQUEST[head_bytes:])
            here.protocols[0].shutdown()  # nothing was read since
            answer = await read_answer(reader)
            assert (answer.content, answer.headers["connection"]) == (b"ok", "close")
            assert await reader.read() == b""

    asyncio.run(run())


def test_a_connection_that_waits_for_nothing_ends_at_once() -> None:
    async def run() -> None:
        async with serving(answering) as here:
            reader, writer = await here.connect()
            writer.write(REQUEST)
            await read_answer(reader)
            here.protocols[0].shutdown()
            assert await reader.read() == b""

    asyncio.run(run())


def test_whoever_connected_before_the_signal_is_answered_though_the_process_stood_still() -> None:
    with running_service(*FAKE_ENGINE) as service:
        address = urlsplit(service.url)
        service.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        callers = [socket.create_connection((address.hostname, address.port), timeout=20) for _ in range(20)]
        for caller in callers:
            caller.sendall(REQUEST)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(max(0.0, stopped + 2 * UVICORN_LOOKS_S - time.monotonic()))
        service.process.send_signal(signal.SIGCONT)
        for caller in callers:
            with caller:
                assert b"".join(iter(lambda: caller.recv(65536), b"")).startswith(b"HTTP/1.1 200 ")  # noqa: B023
        assert service.process.wait(30) == 0
