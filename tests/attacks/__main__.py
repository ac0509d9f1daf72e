"""What each hostile request costs a running service and those who use it: `python -m tests.attacks [CHECKOUT …]`.

Each request is sent once, on a connection of its own, while another client asks for one small image after another. Of
several checkouts, such as an older one, each is measured.
"""

import argparse
import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.attacks import bodies, connections, pictures
from tests.connections import as_request, ask, close
from tests.processes import RUNNING, STARTED
from tests.samples import ANKLE_BOOT, ROOT

IMAGE = ANKLE_BOOT.read_bytes()
PAUSE_S = 0.01
WARM_UP_S = 2.0
LONGEST_S = 45.0
SETTLE_S = 0.5
MB = 1_000_000
BODY_BYTES, HEAD_BYTES = 10_000_000, 33_000_000
HEADS = (
    connections.long_header,
    connections.many_headers,
    connections.long_url,
    connections.long_trailer,
    connections.many_trailers,
    connections.chunk_extensions,
    connections.many_wishes,
)
OIP_PATH = "/v2/models/best-cnn-model/infer"


class Cost(NamedTuple):
    """What became of a request, processor seconds, growth of memory, and the others' 99th percentile."""

    outcome: str
    cpu_s: float
    memory_mb: float
    p99_ms: float


def requests() -> dict[str, Callable[[], bytes]]:
    """By name, what makes the bytes of each request."""
    made = {one.__name__: (lambda one=one: as_request(one(), content_type="image/png")) for one in pictures.ALL}
    made |= {one.__name__: (lambda one=one: one(HEAD_BYTES)) for one in HEADS}
    for path, around in (("/v1/models/best-cnn-model:predict", bodies.ROWS), (OIP_PATH, bodies.TENSOR)):
        for one in (bodies.empty_lists, bodies.deep_lists, bodies.small_objects, bodies.many_numbers):
            made[f"{one.__name__}, packed, to {path[:3]}"] = lambda one=one, path=path, around=around: as_request(
                bodies.packed(one(around, BODY_BYTES)), path, "application/json", extra="Content-Encoding: gzip\r\n"
            )
    for form in (bodies.near_boundaries, bodies.padded_boundary, bodies.many_parts):
        made[form.__name__] = lambda form=form: as_request(form(BODY_BYTES), content_type=bodies.FORM_TYPE)
    return made


@contextmanager
def service_of(checkout: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Its address and process."""
    command = [sys.executable, "-m", "service", "--port", "0", "--watchdog-timeout-s", "120"]
    process = subprocess.Popen(command, cwd=checkout, stderr=subprocess.PIPE, text=True)
    try:
        log = ""
        while STARTED not in log or not RUNNING.search(log):
            line = process.stderr.readline()
            assert line, f"the service of {checkout} did not start: {log}"
            log += line
        draining = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        yield RUNNING.search(log)[1], psutil.Process(process.pid)
        draining.kill()
        draining.wait()
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()


def spent(process: psutil.Process) -> tuple[float, float]:
    """Processor seconds and memory in MB of the process and of all its children, those that ended included."""
    cpu, memory = 0.0, 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            memory += one.memory_info().rss / MB
    return cpu, memory


async def measured(url: str, process: psutil.Process, request: bytes) -> Cost:
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
            connection = await connect_to(url)
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
    outcome = await sent(url, request)
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


async def sent(url: str, request: bytes) -> str:
    """The status that comes, or what comes in its place."""
    reader, writer = await connect_to(url)

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


async def connect_to(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT])
    parser.add_argument("--only", default="", help="measure those whose name has this")
    given = parser.parse_args()
    console = Console()
    table = Table("request", "bytes", *(f"{one.name}: answer, CPU s, MB, p99 ms" for one in given.checkouts))
    chosen = {name: make for name, make in requests().items() if given.only in name}
    for name, make in track(chosen.items(), console=Console(stderr=True)):
        request = make()
        cells = []
        for checkout in given.checkouts:
            with service_of(checkout) as (url, process):
                cost = asyncio.run(measured(url, process, request))
            cells.append(f"{cost.outcome}, {cost.cpu_s:.2f}, {cost.memory_mb:.0f}, {cost.p99_ms:.0f}")
        table.add_row(name, f"{len(request):,}", *cells)
        console.print(name, f"{len(request):,}", *cells, sep=" | ")
    console.print(table)


if __name__ == "__main__":
    main()
