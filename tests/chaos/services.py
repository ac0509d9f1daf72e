"""A service whose workers are known, with faults that can be planted in it."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil

from tests.processes import STARTED, Service, running_service, workers_of
from tests.samples import ROOT

PLANTED = Path(__file__).parent / "planted"


class Watched(Service):
    """A running service whose workers are known."""

    def count(self, text: str) -> int:
        return sum(text in line for _, line in self.lines)

    def wait_for_start(self, so_many: int, timeout_s: float = 60) -> float:
        """Until so many workers in all have started since the service was ready; when the last of them did."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            started = [when for when, line in self.lines if STARTED in line]
            if len(started) >= so_many:
                return started[so_many - 1] if so_many > 0 else time.time()
            assert self.process.poll() is None, self.rest_of_log
            time.sleep(0.02)
        raise TimeoutError(f"{so_many} workers did not start: {self.rest_of_log}")

    async def another_start(self, so_many: int, timeout_s: float = 60) -> float:
        return await asyncio.to_thread(self.wait_for_start, so_many, timeout_s)

    def workers(self) -> list[psutil.Process]:
        """Those who answer: all children of a supervisor but Python's resource tracker, or the one process itself."""
        return workers_of(self) or [psutil.Process(self.process.pid)]

    def end(self, signalled: int = signal.SIGTERM) -> int:
        """Stop it, and read its log to the end."""
        if self.process.poll() is None:
            self.process.send_signal(signalled)
        try:
            status = self.process.wait(40)
        except subprocess.TimeoutExpired:
            # A worker that is stuck would outlive its supervisor.
            for process in [*self.workers(), psutil.Process(self.process.pid)]:
                process.kill()
            status = self.process.wait()
        self.read_to_the_end()
        return status


@contextmanager
def watched_service(*options: object, plant: str = "", **environment: str) -> Iterator[Watched]:
    """With a `plant`, SIGUSR1 makes that fault in the process that gets it."""
    workers = next((int(str(value)) for name, value in pairwise(options) if name == "--workers"), 1)
    if plant:
        environment |= {"PLANTED": plant, "PYTHONPATH": f"{PLANTED}:{ROOT}"}
    with running_service(*options, kind=Watched, **environment) as service:
        try:
            service.wait_for_start(workers - service.log.count(STARTED))
            yield service
        finally:
            service.end()
