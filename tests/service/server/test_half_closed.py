"""A client that sends its request and then ends its half of the connection is answered; one that has left is not."""

import asyncio
import socket
from typing import Any

import pytest

from service.server import connection
from tests.connections import as_request, close, read_answer
from tests.processes import FAKE_ENGINE, running_service
from tests.samples import ANKLE_BOOT
from tests.service.server.serving import serving

IMAGE = ANKLE_BOOT.read_bytes()
REQUEST = as_request(IMAGE)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def answer_to(url: str, *pieces: bytes) -> bytes:
    address = url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=20) as caller:
        for piece in pieces:
            caller.sendall(piece)
        caller.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: caller.recv(65536), b""))


def test_what_came_whole_is_answered_and_what_did_not_is_refused() -> None:
    with running_service(*FAKE_ENGINE) as service:
        # Who waits long is told to go on; it may be here, where the machine has other work.
        one = answer_to(service.url, REQUEST).removeprefix(CONTINUE)
        assert one.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in one.partition(b"\r\n\r\n")[0].lower()
        assert answer_to(service.url, REQUEST * 3).count(b"HTTP/1.1 200 ") == 3
        assert answer_to(service.url, REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0")).startswith(b"HTTP/1.1 200 ")
        for length in (10, len(REQUEST) - 1):
            cut = answer_to(service.url, REQUEST[:length])
            assert cut.startswith(b"HTTP/1.1 400 ")
            assert b"it ends before its head or body does" in cut
        assert answer_to(service.url) == b""


class Slow:
    """An application that answers when it is told to, and says what became of a request."""

    def __init__(self) -> None:
        self.asked, self.left, self.answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        self.asked.set()
        gone = asyncio.create_task(receive())
        told = asyncio.create_task(self.answer.wait())
        await asyncio.wait([gone, told], return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.left.set()
            told.cancel()
            return
        gone.cancel()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_who_still_reads_waits_for_a_slow_answer(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(connection, "_ASKED_AFTER_S", 0.05)

    async def run() -> None:
        slow = Slow()
        async with serving(slow) as here:
            reader, writer = await here.connect()
            writer.write(REQUEST.replace(b"HTTP/1.1", b"HTTP/%s" % version.encode()))
            writer.write_eof()
            if version == "1.1":
                assert await reader.readexactly(len(CONTINUE)) == CONTINUE
            await asyncio.sleep(0.2)  # the time in which it could be taken for one that left
            slow.answer.set()
            assert (await read_answer(reader)).content == b"ok"
            assert await reader.read() == b""
            assert not slow.left.is_set()

    asyncio.run(run())


def test_who_has_left_is_noticed() -> None:
    async def run() -> None:
        slow = Slow()
        async with serving(slow) as here:
            client = _, writer = await here.connect()
            writer.write(REQUEST)
            await slow.asked.wait()
            await close(client)
            await asyncio.wait_for(slow.left.wait(), 20)

    asyncio.run(run())
