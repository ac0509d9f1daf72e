"""Callers who send what costs most, all the while others ask as usual. Nobody else notices, and nothing is lost."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable

import psutil

from tests.attacks import connections
from tests.attacks.requests import requests as made_requests
from tests.chaos.answers import Right
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import Ledger, load
from tests.chaos.memory import Sample, growth, look_at
from tests.chaos.services import Watched, watched_service
from tests.connections import close, connect

CONNECTIONS = 8
HOSTILE = 4
# Of heads and of bodies once they are unpacked.
SIZE = 2_000_000
PACKED_SIZE = 10_000_000


async def attack(service: Watched, requests: list[bytes], became: Counter[str], stop: asyncio.Event) -> None:
    """One request after the other, each on a connection of its own, whatever comes back."""
    for request in itertools.cycle(requests):
        if stop.is_set():
            return
        try:
            connection = await connect(service)
        except OSError:
            became["no connection"] += 1
            continue
        reader, writer = connection
        try:
            writer.write(request)
            async with asyncio.timeout(60):
                line = await reader.readline()
            became[line.split(b" ")[1].decode() if line else "closed"] += 1
        except (OSError, TimeoutError) as error:
            became["closed" if isinstance(error, ConnectionError) else type(error).__name__] += 1
        finally:
            await close(connection)


def family(process: psutil.Process) -> Sample:
    """What a worker holds together with the processes that decode and explain for it."""
    own = look_at(process)
    children = sum(child.memory_info().rss for child in process.children(recursive=True)) / 1_000_000
    return Sample(own.when, own.rss_mb + children, own.files, own.threads)


def test_hostile_callers_cost_nobody_else_anything(right: Right, figures: Callable[[str, str], Row]) -> None:
    requests = {name: make() for name, make in made_requests(SIZE, PACKED_SIZE).items()} | connections.UNCLEAR
    row = figures(
        f"{HOSTILE} hostile callers for {FORM.hostile_s:g} s, {len(requests)} kinds of requests",
        "no worker is lost, every other request is answered rightly, their p99 at most doubles, memory stays flat",
    )
    before, during, became = Ledger(), Ledger(), Counter[str]()
    samples: list[Sample] = []

    async def run(service: Watched) -> None:
        (worker,) = service.workers()
        async with load(service, before, right, CONNECTIONS):
            await asyncio.sleep(FORM.slow_s)
        stop = asyncio.Event()
        async with load(service, during, right, CONNECTIONS):
            callers = []
            for seed in range(HOSTILE):
                shuffled = random.Random(seed).sample(list(requests.values()), len(requests))
                callers.append(asyncio.create_task(attack(service, shuffled, became, stop)))
            end = time.monotonic() + FORM.hostile_s
            while time.monotonic() < end:
                samples.append(family(worker))
                await asyncio.sleep(FORM.sample_every_s)
            stop.set()
            await asyncio.gather(*callers)
        progress(f"{became.total():,} hostile requests, {samples[-1].rss_mb:.0f} MB")

    with watched_service() as service:
        pid = service.process.pid
        asyncio.run(run(service))
        assert service.process.pid == pid
        assert service.end() == 0
    grown = growth(samples)
    row.figures |= {
        "hostile requests": became.total(),
        "became": dict(became),
        "p99 before, ms": before.p99_ms(),
        "p99 meanwhile, ms": during.p99_ms(),
        "others' requests": before.sent + during.sent,
        "memory at most, MB": max(sample.rss_mb for sample in samples),
        "growth, MB": grown.rss_mb,
    }
    row.must("every other request is answered rightly", set(before.became) == set(during.became) == {"right"})
    row.must("no hostile request is left unanswered", not {"TimeoutError", "no connection"} & set(became))
    row.must("nothing fails", "500" not in became and "Traceback" not in service.rest_of_log)
    row.should("p99 at most doubled", during.p99_ms() <= 2 * before.p99_ms())
    row.should("memory is flat", not grown.leaks(FORM.soak_growth_mb))
    row.settle()
