"""An answer's pieces leave together, in order, and none is lost at the end."""

import asyncio

from service.server.write_coalescing import CoalescedWrites


class FakeTransport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def test_what_is_written_in_one_turn_of_the_loop_leaves_in_one_piece() -> None:
    async def run() -> None:
        below = FakeTransport()
        transport = CoalescedWrites(below, asyncio.get_running_loop())
        transport.write(b"head, ")
        transport.write(b"body")
        assert below.written == []
        await asyncio.sleep(0)
        assert below.written == [b"head, body"]
        transport.write(b"another")
        await asyncio.sleep(0)
        assert below.written == [b"head, body", b"another"]

    asyncio.run(run())


def test_what_is_held_leaves_before_the_connection_closes() -> None:
    async def run() -> None:
        below = FakeTransport()
        transport = CoalescedWrites(below, asyncio.get_running_loop())
        transport.write(b"last words")
        transport.close()
        assert below.closed
        await asyncio.sleep(0)
        assert below.written == [b"last words"]

    asyncio.run(run())


def test_everything_else_is_the_transports_own() -> None:
    async def run() -> None:
        assert CoalescedWrites(FakeTransport(), asyncio.get_running_loop()).get_extra_info("peer") == "the peer"

    asyncio.run(run())
