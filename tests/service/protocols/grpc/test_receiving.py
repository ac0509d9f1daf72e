"""Messages that come too slowly: none is waited for without end, and only so many at once."""

import asyncio
from typing import Any

import pytest

from service.errors import Overloaded, RequestTimeout
from service.protocols.grpc import receiving
from service.protocols.grpc.receiving import Receiving


class Sender:
    """A call whose message comes once `sent` has it."""

    def __init__(self) -> None:
        self.sent: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(self) -> Any:
        return await self.sent


@pytest.fixture(autouse=True)
def _late_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "_SOON_S", 0.0)


def test_a_message_that_does_not_come_is_given_up() -> None:
    async def run() -> None:
        with pytest.raises(RequestTimeout, match="did not come in 0 s"):
            await Receiving(0.01, 10).message(Sender())

    asyncio.run(run())


def test_of_messages_that_take_long_the_longest_makes_room() -> None:
    async def run() -> None:
        messages = Receiving(60, 2)
        senders = [Sender() for _ in range(4)]
        waiting = [asyncio.create_task(messages.message(sender)) for sender in senders]
        for gone in waiting[:2]:
            with pytest.raises(Overloaded, match="2 messages are on their way"):
                await gone
        for sender, task in zip(senders[2:], waiting[2:], strict=True):
            sender.sent.set_result(b"late")
            assert await task == b"late"
        one_more = Sender()
        one_more.sent.set_result(b"soon")
        assert await messages.message(one_more) == b"soon"  # nothing is left of the others

    asyncio.run(run())
