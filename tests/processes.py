"""The two programs as real processes: the service on a free port, and either command line run to its end."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.samples import ROOT

STARTED = "Application startup complete"
RUNNING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")


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
    """A running service: its address, what it logged until it was ready, and its process."""

    url: str
    log: str
    process: subprocess.Popen[str]
    rest_of_log: str = field(default="")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.rest_of_log = self.process.stderr.read()
        return self.process.wait()


def read_until(service: Service, text: str, times: int = 1) -> None:
    """Read the log until so many lines more have `text`."""
    while times:
        line = service.process.stderr.readline()
        assert line, f"the service ended before it said {text!r}"
        times -= text in line


def wait_for_all(service: Service, workers: int) -> None:
    """Read the log until so many workers in all have started."""
    read_until(service, STARTED, workers - service.log.count(STARTED))


def workers_of(service: Service) -> list[psutil.Process]:
    """The workers: children of the parent that answer (Python's resource tracker is a child, too)."""
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


@contextmanager
def running_service(*options: object, before: Sequence[str] = (), **environment: str) -> Iterator[Service]:
    process = subprocess.Popen(
        [*before, *command("service", "--port", 0, *options)],
        cwd=ROOT,
        env=_environment(environment),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        log = ""
        for line in process.stderr:
            log += line
            # One process says first that it is ready and then where; a parent of several workers the other way round.
            if (found := RUNNING.search(log)) and STARTED in log:
                yield Service(found[1], log, process)
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
        process.stderr.close()


def _environment(more: dict[str, str]) -> dict[str, str]:
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("SERVICE_", "TRAINING_"))}
    return usual | {"PYTHONPATH": str(ROOT)} | more
