"""The service is told to stop while people ask."""

import asyncio
import signal
import time
from collections.abc import Callable

import pytest

from tests.chaos.answers import Right
from tests.chaos.figures import Row
from tests.chaos.ledger import ERROR, Ledger, images_in_turn
from tests.chaos.services import Watched, watched_service
from tests.connections import Connection, close, connect

CONNECTIONS = 64
DRAIN_S = 30


async def ask_on(connections: list[Connection], ledger: Ledger, right: Right, told: asyncio.Event, rounds: int) -> None:
    """Each caller asks so often, and then once more, if the service has not been told to stop."""

    async def one(connection: Connection, number: int) -> None:
        questions = images_in_turn(right, number * 37)
        for _ in range(rounds):
            if told.is_set():
                return
            await ledger.ask(connection, questions())

    await asyncio.gather(*(one(connection, number) for number, connection in enumerate(connections)))


async def refused_after(service: Watched, began: float) -> float:
    """When a new connection was turned away for the first time and ever after."""
    while True:
        try:
            connection = await connect(service)
        except OSError:
            return time.monotonic() - began
        await close(connection)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_accepted_is_answered_before_the_end(
    right: Right, figures: Callable[[str, str], Row], workers: int
) -> None:
    row = figures(
        f"SIGTERM, {workers} worker{'s' * (workers > 1)}",
        "what was sent before the signal is answered, new connections are refused at once, status 0 within 30 s",
    )
    ledger = Ledger(timeout_s=DRAIN_S)

    async def run(service: Watched) -> tuple[int, float, float, int]:
        connections = [await connect(service) for _ in range(CONNECTIONS)]
        told = asyncio.Event()
        asking = asyncio.create_task(ask_on(connections, ledger, right, told, 10_000))
        await ledger.so_many_right(10 * CONNECTIONS)
        accepted = len(ledger.in_flight)
        told.set()
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        refused_s, status, _ = await asyncio.gather(
            refused_after(service, began), asyncio.to_thread(service.process.wait, DRAIN_S + 5), asking
        )
        ended_s = time.monotonic() - began
        for connection in connections:
            await close(connection)
        return accepted, refused_s, ended_s, status

    # One image a forward pass, so that there is something to be answered still.
    options = ["--workers", workers, "--max-batch-size", 1, "--drain-timeout-s", DRAIN_S]
    with watched_service(*options) as service:
        accepted, refused_s, ended_s, status = asyncio.run(run(service))
    ledger.check()
    row.figures |= {
        "requests": ledger.sent,
        "accepted and not answered at the signal": accepted,
        "became": dict(ledger.became),
        "new connections refused after, s": refused_s,
        "ended after, s": ended_s,
        "status": status,
    }
    row.must("there was something in hand at the signal", accepted > 0)
    row.must("all that was accepted is answered", set(ledger.became) == {"right"} and ledger.became[ERROR] == 0)
    row.must("status 0", status == 0)
    row.should("within the drain limit", ended_s <= DRAIN_S)
    row.should("new connections are refused within a second", refused_s <= 1)
    row.settle()
