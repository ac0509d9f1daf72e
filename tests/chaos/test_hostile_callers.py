"""Callers who send what costs most, all the while others ask as usual. Nobody else notices, and nothing is lost."""

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context

import psutil

from tests.attacks import connections
from tests.attacks.requests import requests as made_requests
from tests.chaos.answers import Right
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import Ledger, load
from tests.chaos.memory import Sample, growth, look_at
from tests.chaos.services import Watched, watched_service
from tests.connections import close, connect_to

CONNECTIONS = 8
HOSTILE = 4
# The processes that decode, and the callers themselves.
BUSY = (10, 10, 19)
# Of heads and of bodies once they are unpacked.
SIZE = 2_000_000
PACKED_SIZE = 10_000_000


@contextmanager
def busy_machine() -> Iterator[None]:
    """Meanwhile its processors have as much to do as with hostile callers, and nobody sends anything."""
    burn = "import os, sys\nos.nice(int(sys.argv[1]))\nwhile True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", burn, str(niceness)]) for niceness in BUSY]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def hostile_callers(url: str, seconds: float) -> Counter[str]:
    """What became of the requests of all of them, in a process that is not the other callers'."""
    os.nice(19)  # they are on machines of their own
    requests = list(hostile_requests().values())

    async def call() -> Counter[str]:
        became, end = Counter[str](), time.monotonic() + seconds
        await asyncio.gather(
            *(attack(url, random.Random(seed).sample(requests, len(requests)), became, end) for seed in range(HOSTILE))
        )
        return became

    return asyncio.run(call())


def hostile_requests() -> dict[str, bytes]:
    return {name: make() for name, make in made_requests(SIZE, PACKED_SIZE).items()} | connections.UNCLEAR


async def attack(url: str, requests: list[bytes], became: Counter[str], end: float) -> None:
    """One request after the other, each on a connection of its own, whatever comes back."""
    for request in itertools.cycle(requests):
        if time.monotonic() >= end:
            return
        try:
            connection = await connect_to(url)
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
    own, children = look_at(process), 0
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it took too long over a picture
            children += child.memory_info().rss
    return Sample(own.when, own.rss_mb + children / 1_000_000, own.files, own.threads)


def test_hostile_callers_cost_nobody_else_anything(right: Right, figures: Callable[[str, str], Row]) -> None:
    row = figures(
        f"{HOSTILE} hostile callers for {FORM.hostile_s:g} s, {len(hostile_requests())} kinds of requests",
        "no worker is lost, every other request is answered rightly, memory stays flat; their p99 at most doubles "
        "against a machine as busy",
    )
    before, busy, during, became = Ledger(), Ledger(), Ledger(), Counter[str]()
    samples: list[Sample] = []

    async def run(service: Watched) -> None:
        (worker,) = service.workers()
        async with load(service, before, right, CONNECTIONS):
            await asyncio.sleep(FORM.slow_s)
        with busy_machine():
            async with load(service, busy, right, CONNECTIONS):
                await asyncio.sleep(FORM.slow_s)
        with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
            calling = asyncio.get_running_loop().run_in_executor(
                elsewhere, hostile_callers, service.url, FORM.hostile_s
            )
            async with load(service, during, right, CONNECTIONS):
                while not calling.done():
                    samples.append(family(worker))
                    await asyncio.wait({calling}, timeout=FORM.sample_every_s)
            became.update(await calling)
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
        "p99 on a machine as busy without hostile callers, ms": busy.p99_ms(),
        "p99 meanwhile, ms": during.p99_ms(),
        "others' requests": before.sent + busy.sent + during.sent,
        "memory at most, MB": max(sample.rss_mb for sample in samples),
        "growth, MB": grown.rss_mb,
    }
    row.must(
        "every other request is answered rightly",
        set(before.became) == set(busy.became) == set(during.became) == {"right"},
    )
    row.must("no hostile request is left unanswered", not {"TimeoutError", "no connection"} & set(became))
    row.must("nothing fails", "500" not in became and "Traceback" not in service.rest_of_log)
    # On two processors the callers and the decoding alone, whoever makes them, double it.
    row.should("p99 at most doubled", during.p99_ms() <= 2 * busy.p99_ms())
    row.should("memory is flat", not grown.leaks(FORM.soak_growth_mb))
    row.settle()
