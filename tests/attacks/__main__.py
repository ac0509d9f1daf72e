"""What each hostile request costs a running service and those who use it: `python -m tests.attacks [CHECKOUT …]`.

Each request is sent once, on a connection of its own, while another client asks for one small image after another. Of
several checkouts, such as an older one, each is measured.
"""

import argparse
import asyncio
import contextlib
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.attacks.requests import requests
from tests.connections import ask, close, connect
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, ROOT

IMAGE = ANKLE_BOOT.read_bytes()
PAUSE_S = 0.01
WARM_UP_S = 2.0
LONGEST_S = 45.0
SETTLE_S = 0.5
MB = 1_000_000
# An older service may stand still for longer than its watchdog allows.
PATIENT = ("--watchdog-timeout-s", 120)
BODY_BYTES, HEAD_BYTES = 10_000_000, 33_000_000


class Cost(NamedTuple):
    """What became of a request, processor seconds, growth of memory, and the others' 99th percentile."""

    outcome: str
    cpu_s: float
    memory_mb: float
    p99_ms: float


def spent(process: psutil.Process) -> tuple[float, float]:
    """Processor seconds and memory in MB of the process and of all its children, those that ended included."""
    cpu, memory = 0.0, 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            memory += one.memory_info().rss / MB
    return cpu, memory


async def measured(service: Service, request: bytes) -> Cost:
    process = psutil.Process(service.process.pid)
    seconds: list[float] = []
    most = 0.0
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, (await asyncio.to_thread(spent, process))[1])
            await asyncio.sleep(0.02)

    async def use() -> None:
        while True:
            began = loop.time()
            connection = await connect(service)
            try:
                while True:
                    began = loop.time()
                    await ask(*connection, IMAGE)
                    seconds.append(loop.time() - began)
                    await asyncio.sleep(PAUSE_S)
            except (OSError, asyncio.IncompleteReadError):
                seconds.append(loop.time() - began)
            finally:
                await close(connection)

    using = asyncio.create_task(use())
    await asyncio.sleep(WARM_UP_S)
    cpu, memory = spent(process)
    most = memory
    seconds.clear()
    watching, began = asyncio.create_task(watch()), loop.time()
    outcome = await sent(service, request)
    await asyncio.sleep(SETTLE_S)
    lasted = loop.time() - began
    after, _ = spent(process)
    for task in (using, watching):
        task.cancel()
    await asyncio.gather(using, watching, return_exceptions=True)
    if not seconds:
        seconds.append(lasted)
    p99 = sorted(seconds)[int(0.99 * (len(seconds) - 1))]
    # What the other client's requests cost is in each figure: some percent of a processor while it lasts.
    return Cost(outcome, after - cpu, most - memory, 1000 * p99)


async def sent(service: Service, request: bytes) -> str:
    """The status that comes, or what comes in its place."""
    reader, writer = await connect(service)

    async def write() -> None:
        with contextlib.suppress(OSError):
            for start in range(0, len(request), 1 << 16):
                writer.write(request[start : start + (1 << 16)])
                await writer.drain()

    writing = asyncio.create_task(write())
    try:
        async with asyncio.timeout(LONGEST_S):
            line = await reader.readline()
        return line.split(b" ")[1].decode() if line else "closed"
    except TimeoutError:
        return f"no answer in {LONGEST_S:.0f} s"
    except OSError:
        return "closed"
    finally:
        writing.cancel()
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT])
    parser.add_argument("--only", default="", help="measure those whose name has this")
    given = parser.parse_args()
    console = Console()
    table = Table("request", "bytes", *(f"{one.name}: answer, CPU s, MB, p99 ms" for one in given.checkouts))
    chosen = {name: make for name, make in requests(HEAD_BYTES, BODY_BYTES).items() if given.only in name}
    for name, make in track(chosen.items(), console=Console(stderr=True)):
        request = make()
        cells = []
        for checkout in given.checkouts:
            with running_service(*PATIENT, cwd=checkout, PYTHONPATH=str(checkout)) as service:
                cost = asyncio.run(measured(service, request))
            cells.append(f"{cost.outcome}, {cost.cpu_s:.2f}, {cost.memory_mb:.0f}, {cost.p99_ms:.0f}")
        table.add_row(name, f"{len(request):,}", *cells)
        console.print(name, f"{len(request):,}", *cells, sep=" | ")
    console.print(table)


if __name__ == "__main__":
    main()
