"""A worker whose event loop or model does not come back: it is noticed and replaced, and the other one answers."""

import asyncio
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.chaos.answers import Right
from tests.chaos.figures import Row
from tests.chaos.forms import FORM
from tests.chaos.ledger import ERROR, Ledger, asking, load
from tests.chaos.services import Watched, watched_service
from tests.processes import STARTED

CONNECTIONS = 16
# Beyond --watchdog-timeout-s: to be noticed, and for another one to start.
NOTICED_S = 5
START_S = 30
# What an image may be told that waits for a model which does not come back.
REFUSALS = frozenset({503, 504})


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("plant", ["loop", "model"])
def test_a_worker_that_is_stuck_is_replaced_and_the_other_one_answers(
    right: Right, figures: Callable[[str, str], Row], plant: str
) -> None:
    what = "event loop" if plant == "loop" else "model"
    row = figures(
        f"{what} of one worker of two stuck",
        "noticed within --watchdog-timeout-s + 5 s and replaced, the other worker answers meanwhile, none wrong",
    )
    ledger = Ledger(refusals=REFUSALS, timeout_s=FORM.watchdog_timeout_s + NOTICED_S + START_S)
    times: dict[str, float] = {}

    async def run(service: Watched) -> int:
        so_many = service.count(STARTED)
        async with load(service, ledger, right, CONNECTIONS):
            await ledger.so_many_right(10 * CONNECTIONS)
            victim = service.workers()[0]
            victim.send_signal(signal.SIGUSR1)
            began, before = time.time(), ledger.became["right"]
            deadline = began + FORM.watchdog_timeout_s + NOTICED_S + START_S
            await asyncio.sleep(0.05)
            # One worker may have taken all connections that came at once; those that come now go to whoever answers.
            async with asking(service, ledger, right, CONNECTIONS):
                while is_alive(victim):
                    assert time.time() < deadline, "nobody noticed"
                    await asyncio.sleep(0.05)
                times["noticed"] = time.time() - began
                meanwhile = ledger.became["right"] - before
            times["replaced"] = await service.another_start(so_many + 1) - began
            return meanwhile

    with watched_service("--workers", 2, "--watchdog-timeout-s", FORM.watchdog_timeout_s, plant=plant) as service:
        meanwhile = asyncio.run(run(service))
        assert len(service.workers()) == 2
        assert service.end() == 0
    row.figures |= {
        "requests": ledger.sent,
        "became": dict(ledger.became),
        "right answers meanwhile": meanwhile,
        "noticed after, s": times["noticed"],
        "replaced after, s": times["replaced"],
    }
    row.must("the other worker answered", meanwhile > 0)
    row.must("nothing undocumented", set(ledger.became) <= {"right", ERROR, *map(str, REFUSALS)})
    row.must("the log shows where it was stuck", "sitecustomize.py" in service.rest_of_log)
    row.should("noticed in time", times["noticed"] <= FORM.watchdog_timeout_s + NOTICED_S)
    row.settle()
