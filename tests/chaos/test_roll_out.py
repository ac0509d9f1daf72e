"""Three services behind nginx, replaced one after another by others with another model, as Kubernetes does it."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.chaos.answers import Right, answers_of
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import RIGHT, Ledger, load
from tests.chaos.services import Watched
from tests.connections import close, connect_to
from tests.ports import free_port
from tests.processes import running_service
from tests.samples import SHIPPED_MODEL, left_out_without

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
pytestmark = left_out_without(NGINX is not None, "Debian's package nginx-light")

REPLICAS = 3
CONNECTIONS = 8

# Who refuses, breaks off or says that it stops is passed over for the next, for a POST, too: each may be sent twice.
_CONFIGURATION = """
daemon off; pid nginx.pid; error_log stderr crit; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream replicas {{ {servers} keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream error timeout http_503 non_idempotent;
    }}
  }}
}}
"""


class Proxy(NamedTuple):
    """Where the callers connect to."""

    url: str


@contextmanager
def nginx_before(ports: list[int], port: int, folder: Path) -> Iterator[Proxy]:
    servers = " ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
    (folder / "nginx.conf").write_text(_CONFIGURATION.format(servers=servers, port=port))
    nginx = subprocess.Popen([str(NGINX), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"])
    try:
        yield Proxy(f"http://127.0.0.1:{port}")
    finally:
        nginx.terminate()
        nginx.wait()


async def until_it_listens(proxy: Proxy) -> None:
    while True:
        try:
            await close(await connect_to(proxy.url))
        except OSError:
            await asyncio.sleep(0.01)
        else:
            return


@contextmanager
def replica(port: int, model: Path) -> Iterator[Watched]:
    with running_service("--port", port, "--model-path", model, "--replicated", kind=Watched) as service:
        yield service


def test_no_request_is_lost_and_the_old_version_is_gone(
    tmp_path: Path, other_model: Path, right: Right, figures: Callable[[str, str], Row]
) -> None:
    row = figures(
        f"{FORM.roll_outs} roll-outs of {REPLICAS} services behind nginx, one after another",
        "no request is lost, each answer is right for the version it names, and none is of the old one afterwards",
    )
    *ports, port = (free_port() for _ in range(REPLICAS + 1))
    during, afterwards = Ledger(timeout_s=30), Ledger(timeout_s=30)
    statuses: list[int] = []
    models = {SHIPPED_MODEL: right, other_model: answers_of(other_model)}

    def replace(running: list[ExitStack], services: list[Watched], number: int, model: Path) -> None:
        statuses.append(services[number].end(signal.SIGTERM))
        running[number].close()
        services[number] = running[number].enter_context(replica(ports[number], model))

    async def run(proxy: Proxy, running: list[ExitStack], services: list[Watched]) -> None:
        await until_it_listens(proxy)
        old, new = SHIPPED_MODEL, other_model
        for roll_out in range(FORM.roll_outs):
            async with load(proxy, during, models[old] | models[new], CONNECTIONS):
                for number in range(REPLICAS):
                    await asyncio.to_thread(replace, running, services, number, new)
                    await during.so_many_right(during.became[RIGHT] + 20 * CONNECTIONS)
            async with load(proxy, afterwards, models[new], CONNECTIONS):
                await afterwards.so_many_right(afterwards.became[RIGHT] + 50 * CONNECTIONS)
            progress(f"roll-out {roll_out + 1} of {FORM.roll_outs}: {during.sent} requests")
            old, new = new, old

    with ExitStack() as everything:
        running = [everything.enter_context(ExitStack()) for _ in ports]
        services = [stack.enter_context(replica(one, SHIPPED_MODEL)) for stack, one in zip(running, ports, strict=True)]
        asyncio.run(run(everything.enter_context(nginx_before(ports, port, tmp_path)), running, services))
    row.figures |= {
        "requests meanwhile": during.sent,
        "became": dict(during.became),
        "requests afterwards": afterwards.sent,
        "these became": dict(afterwards.became),
        "services replaced": len(statuses),
    }
    row.must("every request is answered rightly", set(during.became) == {RIGHT})
    row.must("afterwards only the new version answers", set(afterwards.became) == {RIGHT})
    row.must("each old service ends with status 0", statuses == [0] * REPLICAS * FORM.roll_outs)
    row.must("there was load", during.sent > 100 * FORM.roll_outs)
    row.settle()
