"""The two programs as real processes: the service on a free port, and either command line run to its end."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from tests.samples import CONVERTED, ROOT

STARTED = "Application startup complete"
# Starts at once, and is all that a test of processes needs.
FAKE_ENGINE = ("--engine", "fake")
EXPLAINING = "service.explain.process.child"
RUNNING = re.compile(r"Uvicorn running on (https?://127\.0\.0\.1:\d+)")


def command(module: str, *options: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, options)]


def run_to_end(
    module: str, *options: object, before: Sequence[str] = (), cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`before`: a program, and its options, that runs the command."""
    return subprocess.run(
        [*before, *command(module, *options)],
        cwd=cwd,
        env=_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Service:
    """A running service: its address, what it logged until it was ready, and its process.

    What it logs from then on is read all the while: a full pipe would make it wait.
    """

    url: str
    log: str
    process: subprocess.Popen[str]
    lines: list[tuple[float, str]] = field(default_factory=list)
    """Each line since it was ready, and when it came."""

    def __post_init__(self) -> None:
        self._unread: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def rest_of_log(self) -> str:
        return "".join(line for _, line in self.lines)

    def stop(self, signalled: int = signal.SIGTERM) -> int:
        """Its status, once its log has been read to the end."""
        self.process.send_signal(signalled)
        self.read_to_the_end()
        return self.process.wait()

    def read_to_the_end(self) -> None:
        """Wait until its log ends, which it does with its last process."""
        self._reader.join(60)

    def next_line(self) -> str:
        """The next line that nobody asked for yet, or nothing where there will be none."""
        return self._unread.get()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append((time.time(), line))
            self._unread.put(line)
        self._unread.put("")


Running = TypeVar("Running", bound=Service)


def read_until(service: Service, text: str, times: int = 1) -> None:
    """Read the log until so many lines more have `text`."""
    while times:
        line = service.next_line()
        assert line, f"the service ended before it said {text!r}"
        times -= text in line


def wait_for_all(service: Service, workers: int) -> None:
    """Read the log until so many workers in all have started."""
    read_until(service, STARTED, workers - service.log.count(STARTED))


def workers_of(service: Service) -> list[psutil.Process]:
    """The workers: children of the parent that answer, and not those that decode, explain or clean up."""
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if "spawn_main" in _command_of(child)]


def explaining(service: Service) -> list[psutil.Process]:
    """The processes in which the service explains."""
    everything = psutil.Process(service.process.pid).children(recursive=True)
    return [process for process in everything if EXPLAINING in _command_of(process)]


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


@contextmanager
def running_service(
    *options: object,
    before: Sequence[str] = (),
    kind: type[Running] = Service,
    module: str = "service",
    listen: Sequence[object] = ("--port", 0),
    cwd: Path = ROOT,
    **environment: str,
) -> Iterator[Running]:
    """`listen`: the first arguments, where a port is not to be any free one."""
    process = subprocess.Popen(
        [*before, *command(module, *listen, *options)],
        cwd=cwd,
        env=_environment(environment),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        log, service = "", None
        while line := process.stderr.readline():
            log += line
            # One process says first that it is ready and then where; a parent of several workers the other way round.
            if (found := RUNNING.search(log)) and STARTED in log:
                service = kind(found[1], log, process)
                yield service
                break
        else:
            raise RuntimeError(f"the service did not start: {log}")
    finally:
        if process.poll() is None:
            # Not killed at once: a parent of several workers has to end them.
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if service:
            service.read_to_the_end()
        process.stderr.close()


def _environment(more: dict[str, str]) -> dict[str, str]:
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("SERVICE_", "TRAINING_"))}
    return usual | {"PYTHONPATH": str(ROOT), "SERVICE_CACHE_DIR": str(CONVERTED)} | more
