"""What this process has answered by the Open Inference Protocol, by whatever way it came. Knows no way."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from service.inference.model_runner import ModelRunner
from service.protocols.oip.answers import ModelStatistics


@dataclass
class Counts:
    """Of one version of a model; `rows` are images, `_ns` nanoseconds."""

    rows: int = 0
    answered: int = 0
    answered_ns: int = 0
    failed: int = 0
    failed_ns: int = 0


# Gone with the version that they are of.
_COUNTS: WeakKeyDictionary[ModelRunner, Counts] = WeakKeyDictionary()


@contextmanager
def counting(runner: ModelRunner) -> Iterator[Counts]:
    """Count one request, which failed where anything is raised. Its rows are for who asks to add."""
    counts = _counts(runner)
    start = time.perf_counter_ns()
    try:
        yield counts
    except BaseException:
        counts.failed += 1
        counts.failed_ns += time.perf_counter_ns() - start
        raise
    counts.answered += 1
    counts.answered_ns += time.perf_counter_ns() - start


def statistics_of(runner: ModelRunner) -> ModelStatistics:
    """What was counted of that version."""
    counts = _counts(runner)
    return {
        "name": runner.card.name,
        "version": runner.served_version,
        "inference_count": counts.rows,
        "inference_stats": {
            "success": {"count": counts.answered, "ns": counts.answered_ns},
            "fail": {"count": counts.failed, "ns": counts.failed_ns},
        },
    }


def _counts(runner: ModelRunner) -> Counts:
    return _COUNTS.setdefault(runner, Counts())
