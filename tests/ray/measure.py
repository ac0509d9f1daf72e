"""Requests per second and processor time of each, under Ray Serve and without it; the figures of docs/ray.md.

python -m tests.ray.measure ROUNDS (needs `make ray` once, and wrk)
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from benchmarks.load import BodyLimits, drive, write_bodies
from tests.processes import running_service, wait_for_all
from tests.ray.clusters import ray_cluster
from tests.samples import SAMPLE_FILES

CONNECTIONS, SECONDS, SECONDS_BEFORE = 32, 8, 5


@contextmanager
def behind_haproxy(processes: int) -> Iterator[tuple[str, int]]:
    with ray_cluster(processes, RAY_SERVE_ENABLE_HA_PROXY="1") as found:
        yield found


@contextmanager
def alone(processes: int) -> Iterator[tuple[str, int]]:
    with running_service("--workers", processes, "--log-level", "info") as service:
        if processes > 1:
            wait_for_all(service, processes)
        yield service.url, service.process.pid


def cpu_seconds(pid: int) -> float:
    """Of the process and all that it started."""
    process = psutil.Process(pid)
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        times = one.cpu_times()
        total += times.user + times.system
    return total


def measured(url: str, pid: int, bodies: BodyLimits) -> tuple[float, float]:
    """Requests/s, and milliseconds of processor time for each."""
    drive(f"{url}/predict", bodies, CONNECTIONS, SECONDS_BEFORE)
    before = cpu_seconds(pid)
    load = drive(f"{url}/predict", bodies, CONNECTIONS, SECONDS)
    spent = cpu_seconds(pid) - before
    assert not load.errors, load
    return load.requests_per_s, 1000 * spent / (load.requests_per_s * SECONDS)


def main() -> None:
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bodies = write_bodies(Path(folder) / "bodies", SAMPLE_FILES, None)
        for _ in range(int(sys.argv[1])):
            for processes in (1, 2):
                for name, started in (
                    ("cnn-serve", alone),
                    ("Ray Serve", ray_cluster),
                    ("Ray Serve, HAProxy", behind_haproxy),
                ):
                    with started(processes) as (url, pid):
                        figures = measured(url, pid, bodies)
                    found.setdefault((name, processes), []).append(figures)
                    sys.stderr.write(f"{name} {processes}: {figures[0]:.0f} requests/s, {figures[1]:.2f} ms each\n")
    for (name, processes), figures in found.items():
        rates, times = zip(*figures, strict=True)
        sys.stdout.write(f"| {name}, {processes} | {median(rates):,.0f} | {median(times):.2f} |\n")


if __name__ == "__main__":
    main()
