"""What a process holds while it works, and whether that grows."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import psutil

WARM_UP_SHARE = 0.2
MB = 1_000_000
MORE_FILES_OR_THREADS = 2


@dataclass(frozen=True)
class Sample:
    when: float
    rss_mb: float
    files: int
    threads: int


def look_at(process: psutil.Process) -> Sample:
    with process.oneshot():
        return Sample(time.monotonic(), process.memory_info().rss / MB, process.num_fds(), process.num_threads())


async def watch(process: psutil.Process, every_s: float, samples: list[Sample]) -> None:
    """Take samples until cancelled."""
    while True:
        samples.append(look_at(process))
        await asyncio.sleep(every_s)


@dataclass(frozen=True)
class Growth:
    rss_mb: float
    files: float
    threads: float

    def leaks(self, most_mb: float) -> list[str]:
        """What grew by more than it may."""
        bounds = {
            "memory": self.rss_mb > most_mb,
            "open files": self.files > MORE_FILES_OR_THREADS,
            "threads": self.threads > MORE_FILES_OR_THREADS,
        }
        return [name for name, grew in bounds.items() if grew]


def growth(samples: list[Sample]) -> Growth:
    """From the first to the last tenth of what comes after the warm-up.

    Of open files the fewest count: callers come and go, and what leaks is there at the quietest moment too.
    """
    warm = samples[int(len(samples) * WARM_UP_SHARE) :]
    tenth = max(1, len(warm) // 10)

    def change(of: Callable[[Sample], float], middle: Callable[[list[float]], float] = median) -> float:
        return middle([of(sample) for sample in warm[-tenth:]]) - middle([of(sample) for sample in warm[:tenth]])

    return Growth(
        change(lambda sample: sample.rss_mb),
        change(lambda sample: sample.files, min),
        change(lambda sample: sample.threads),
    )
