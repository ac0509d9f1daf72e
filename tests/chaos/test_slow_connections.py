"""Many connections that hold the service up: half a head, a body drop by drop, answers that nobody reads."""

import asyncio
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import psutil

from tests.chaos.answers import Right
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import Ledger, load
from tests.chaos.services import Watched, watched_service
from tests.connections import as_request

CONNECTIONS = 4
KINDS = ("half a head", "a byte a second", "answers unread")
# Of 100 kB each: more than both sides' buffers hold.
DRAWING = "/plot?style=blocks"
UNREAD = as_request(path=DRAWING, method="GET") * 60
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
SMALL_BUFFER = 4096
CLOSED_WITHIN = 1.5  # of the time that a caller may take


async def opened(service: Watched, kind: str) -> socket.socket:
    """A bare socket: a stream of asyncio would read on its own."""
    address = urlsplit(service.url)
    slow = socket.socket()
    slow.setblocking(False)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, (address.hostname, address.port))
    begin = {
        "half a head": HEAD,
        "a byte a second": HEAD + b"Content-Length: 100000\r\n\r\n",
        "answers unread": UNREAD,
    }
    await loop.sock_sendall(slow, begin[kind])
    return slow


async def drip(slow: list[socket.socket]) -> None:
    """A byte a second on each, until they are gone or this is cancelled."""
    while True:
        await asyncio.sleep(1)
        for one in slow:
            try:
                one.send(b"x")
            except OSError:
                continue  # closed, as it should be


def still_open(process: psutil.Process, ports: dict[int, str]) -> dict[int, str]:
    """Asked of the service: a caller who reads nothing is not told that its connection is closed."""
    theirs = {connection.raddr.port for connection in process.net_connections("tcp") if connection.raddr}
    return {port: kind for port, kind in ports.items() if port in theirs}


def test_slow_callers_are_let_go_and_others_do_not_notice(right: Right, figures: Callable[[str, str], Row]) -> None:
    row = figures(
        f"{3 * FORM.slow_connections_each} slow connections",
        "all closed within 1.5 × --receive-timeout-s, others' p99 at most doubled",
    )
    before, during = Ledger(), Ledger()
    closed_s: dict[str, float] = {}

    async def run(service: Watched) -> dict[int, str]:
        process = psutil.Process(service.process.pid)
        async with load(service, before, right, CONNECTIONS, requests_a_connection=1):
            await asyncio.sleep(FORM.slow_s)
        # On one connection for each request: one that idles for a second on a busy machine is closed, too.
        async with load(service, during, right, CONNECTIONS, requests_a_connection=1):
            slow = [(kind, await opened(service, kind)) for kind in KINDS for _ in range(FORM.slow_connections_each)]
            began = time.monotonic()
            dripping = asyncio.create_task(drip([one for kind, one in slow if kind == "a byte a second"]))
            left = {one.getsockname()[1]: kind for kind, one in slow}
            progress(f"{len(left)} slow connections are open")
            # Long enough for a machine that is busy with other things.
            while left and time.monotonic() - began < max(60, 5 * CLOSED_WITHIN * FORM.receive_timeout_s):
                await asyncio.sleep(0.1)
                left = await asyncio.to_thread(still_open, process, left)
                for kind in set(KINDS) - set(left.values()) - closed_s.keys():
                    closed_s[kind] = time.monotonic() - began
            await asyncio.sleep(max(0, FORM.slow_s - (time.monotonic() - began)))
            dripping.cancel()
        for _, one in slow:
            one.close()
        return left

    # Answers that the system has taken are as good as read: then a connection idles.
    with watched_service("--receive-timeout-s", FORM.receive_timeout_s, "--keep-alive-s", 1) as service:
        httpx.get(f"{service.url}{DRAWING}", timeout=60).raise_for_status()  # after which drawing takes no time
        left = asyncio.run(run(service))
        assert service.end() == 0
    row.figures |= {
        "closed after, s": ", ".join(f"{kind}: {closed_s[kind]:.1f}" for kind in KINDS if kind in closed_s) or "never",
        "never closed": len(left),
        "p99 before, ms": before.p99_ms(),
        "p99 meanwhile, ms": during.p99_ms(),
        "others' requests": before.sent + during.sent,
    }
    row.must("all are closed", not left)
    row.must("every other request is answered rightly", set(before.became) == set(during.became) == {"right"})
    row.should("in time", max(closed_s.values(), default=0) <= CLOSED_WITHIN * FORM.receive_timeout_s)
    row.should("p99 at most doubled", during.p99_ms() <= 2 * before.p99_ms())
    row.settle()
