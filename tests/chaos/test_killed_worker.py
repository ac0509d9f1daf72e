"""One worker of two is killed again and again while people ask."""

import asyncio
import time
from collections.abc import Callable

import psutil

from tests.chaos.answers import Right
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import ERROR, NO_CONNECTION, Ledger, load
from tests.chaos.services import Watched, watched_service
from tests.processes import STARTED

CONNECTIONS = 16


def in_hand(worker: psutil.Process, ledger: Ledger) -> tuple[int, int]:
    """How many requests are on the worker's connections, and how many connections have none yet.

    It is stopped, so that it takes no other one meanwhile. Who has just connected sends all the same, and in vain.
    """
    worker.suspend()
    while worker.status() != psutil.STATUS_STOPPED:
        pass
    ports = {
        connection.raddr.port
        for connection in worker.net_connections("tcp")
        if connection.raddr and connection.status == psutil.CONN_ESTABLISHED
    }
    requests = sum(port in ports for port in ledger.in_flight.values())
    return requests, len(ports) - requests


def test_a_killed_worker_costs_what_it_had_in_hand_and_is_replaced(
    right: Right, figures: Callable[[str, str], Row]
) -> None:
    row = figures(
        "kill -9 of one worker of two",
        "no more connection errors than the worker had requests in flight and connections just made for one, "
        "none wrong, replaced within a start + 2 s",
    )
    ledger = Ledger(timeout_s=30)
    in_flight: list[int] = []
    just_connected: list[int] = []
    replaced_s: list[float] = []

    async def run(service: Watched) -> None:
        so_many = service.count(STARTED)
        async with load(service, ledger, right, CONNECTIONS):
            for number in range(FORM.kills):
                await asyncio.sleep(FORM.seconds_between_kills)
                victim = service.workers()[number % 2]
                # Nothing else of the loop runs between the count and the kill.
                requests, connections = in_hand(victim, ledger)
                victim.kill()
                in_flight.append(requests)
                just_connected.append(connections)
                killed = time.time()
                replaced_s.append(await service.another_start(so_many + number + 1) - killed)
                progress(f"kill {number + 1}: {in_flight[-1]} in flight, replaced after {replaced_s[-1]:.1f} s")

    began = time.time()
    with watched_service("--workers", 2) as service:
        start_s = time.time() - min(worker.create_time() for worker in service.workers())
        asyncio.run(run(service))
        assert len(service.workers()) == 2
        assert service.end() == 0
    errors = ledger.became[ERROR] + ledger.became[NO_CONNECTION]
    row.figures |= {
        "kills": len(in_flight),
        "requests": ledger.sent,
        "became": dict(ledger.became),
        "in flight at the kills": in_flight,
        "just connected": just_connected,
        "first start, s": start_s,
        "replaced after, s": replaced_s,
        "seconds in all": time.time() - began,
    }
    row.must("a kill happened under load", sum(in_flight) > 0 and ledger.became["right"] > 0)
    row.must("no more errors than it had in hand", errors <= sum(in_flight) + sum(just_connected))
    row.must("nothing else than right answers and connection errors", set(ledger.became) <= {"right", ERROR})
    row.should("replaced within a start + 2 s", max(replaced_s) <= start_s + 2)
    row.settle()
