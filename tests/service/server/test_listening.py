"""The address is taken before anything is loaded, and whoever cannot have it is told why and what to do."""

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from uvicorn.config import STARTUP_FAILURE

from service.server.listening import AddressError, bind
from tests.processes import FAKE_ENGINE, STARTED, command, run_to_end, running_service
from tests.samples import ROOT, left_out_without

LOOPBACK = "127.0.0.1"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = left_out_without(has_ipv6(), "IPv6")


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server((LOOPBACK, 0)) as other:
        yield other.getsockname()[1]


def closed(sockets: list[socket.socket]) -> list[str]:
    """The addresses of `sockets`, which are closed then."""
    addresses = [bound.getsockname()[0] for bound in sockets]
    for bound in sockets:
        bound.close()
    return addresses


@pytest.mark.parametrize("workers", [1, 2])
def test_a_busy_port_is_told_before_the_model_is_looked_at(busy: int, workers: int) -> None:
    ended = run_to_end("service", "--port", busy, "--workers", workers, "--model-path", "there-is-none.h5")
    assert ended.returncode == STARTUP_FAILURE
    (line,) = ended.stderr.splitlines()
    assert f"port {busy} of {LOOPBACK} is in use" in line
    assert "take another --port" in line


def test_nothing_that_takes_long_is_imported_before(busy: int) -> None:
    """Half a second is what the settings take; what answers and what runs a model would take several."""
    arguments = [sys.executable, "-X", "importtime", "-m", "service", "--port", str(busy)]
    ended = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"port {busy} of {LOOPBACK} is in use" in ended.stderr
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "pydantic" in imported
    assert not imported & {"fastapi", "starlette", "PIL", "cv2", "grpc", "ai_edge_litert", "keras", "tensorflow"}


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0", "localhost"])
def test_whatever_the_host_is_called(busy: int, host: str) -> None:
    with pytest.raises(AddressError, match=f"port {busy} of {host} is in use"):
        closed(bind(host, busy))


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("no-such-host.invalid", "stands for no address"),
        ("two words", "stands for no address"),
        ("a" * 70, "stands for no address"),
        ("192.0.2.1", "is no address of this machine"),  # set aside for documentation
    ],
)
def test_a_host_that_is_none_of_this_machine_is_told(host: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason) as raised:
        closed(bind(host, 0))
    assert "0.0.0.0 for all" in str(raised.value)


def test_a_port_that_needs_rights_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, who has them; what the system says to others stands in."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket.socket, "bind", refuse, raising=False)
    with pytest.raises(AddressError, match="take a --port from 1024 on"):
        bind(LOOPBACK, 80)


@needs_ipv6
def test_a_host_of_several_addresses_has_one_port_at_all_of_them() -> None:
    both = bind("", 0)
    ports = {bound.getsockname()[1] for bound in both}
    assert len(ports) == 1
    assert closed(both) == ["0.0.0.0", "::"]


def test_one_of_its_addresses_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has the name localhost for both protocols and only one of them."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert closed(bind("localhost", 0)) == [LOOPBACK]


@needs_ipv6
def test_without_a_host_of_its_own_ipv6_takes_both_protocols() -> None:
    (bound,) = bind("::", 0)
    port = bound.getsockname()[1]
    bound.listen()
    for address in (LOOPBACK, "::1"):
        socket.create_connection((address, port)).close()
    bound.close()


@needs_ipv6
@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_over_ipv6_tells_its_address(workers: int) -> None:
    process = subprocess.Popen(
        command("service", "--host", "::1", "--port", 0, "--workers", workers, *FAKE_ENGINE),
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = next(line for line in process.stderr if "Uvicorn running on" in line)
        (url,) = re.findall(r"http://\[::1\]:\d+", line)
        assert httpx.get(f"{url}/health/ready", timeout=60).status_code == 200
    finally:
        process.terminate()
        process.communicate()
    assert process.returncode == 0


def test_until_it_is_ready_connections_are_refused() -> None:
    (bound,) = bind(LOOPBACK, 0)
    with bound, pytest.raises(ConnectionRefusedError):
        socket.create_connection(bound.getsockname())


@pytest.mark.parametrize("workers", [1, 2])
def test_of_two_that_bound_a_port_at_once_the_slower_one_ends(workers: int) -> None:
    """Until one of them listens the system lets both have it."""
    (bound,) = bind(LOOPBACK, 0)
    port = bound.getsockname()[1]
    process = subprocess.Popen(
        command("service", "--port", port, "--workers", workers, "--log-level", "info", *FAKE_ENGINE),
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with bound:
        assert "loading" in process.stderr.readline()
        bound.listen()
        _, log = process.communicate(timeout=60)
    assert process.returncode == STARTUP_FAILURE
    assert f"port {port} of {LOOPBACK} is in use" in log
    assert "Traceback" not in log
    assert STARTED not in log


def test_the_port_can_be_had_again_at_once() -> None:
    with running_service(*FAKE_ENGINE) as first:
        port = int(first.url.rpartition(":")[2])
        with httpx.Client() as kept:  # the service closes this one, whose port the system keeps for a minute
            kept.get(f"{first.url}/health/ready")
            first.stop()
    (bound,) = bind(LOOPBACK, port)
    bound.listen()
    bound.close()
