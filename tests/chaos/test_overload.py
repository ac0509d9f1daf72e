"""Ten times more than can be done is asked, by callers who do not wait to see how it goes."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.load import Answers, drive, overload, write_bodies
from tests.chaos.answers import Right
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import Ledger, load
from tests.chaos.memory import Sample, watch
from tests.chaos.services import Watched, watched_service
from tests.samples import SAMPLE_FILES, left_out_without

TIMES = 10
CONNECTIONS = 512
LEDGER_CONNECTIONS = 8
SETTLED_S = 10
MOST_GROWTH_MB = 20


@left_out_without(shutil.which("wrk") is not None and shutil.which("h2load") is not None, "wrk and h2load")
def test_too_much_is_refused_and_costs_no_memory(
    tmp_path: Path, right: Right, figures: Callable[[str, str], Row]
) -> None:
    row = figures(
        f"{TIMES} × overload for {FORM.overload_s} s",
        "nothing but 200 and 503, the latter with Retry-After; memory grows by 20 MB at most after 10 s",
    )
    bodies = write_bodies(tmp_path / "bodies", SAMPLE_FILES, None)
    ledger = Ledger(refusals=frozenset({503}))
    samples: list[Sample] = []

    async def run(service: Watched, offered: float) -> Answers:
        watching = asyncio.create_task(watch(psutil.Process(service.process.pid), 0.5, samples))
        try:
            async with load(service, ledger, right, LEDGER_CONNECTIONS):
                return await asyncio.to_thread(
                    overload,
                    f"{service.url}/predict",
                    bodies,
                    CONNECTIONS,
                    offered,
                    FORM.overload_s,
                    tmp_path / "log",
                )
        finally:
            watching.cancel()

    with watched_service() as service:
        capacity = drive(f"{service.url}/predict", bodies, 128, FORM.capacity_s).requests_per_s
        progress(f"capacity {capacity:,.0f} requests a second")
        answers = asyncio.run(run(service, TIMES * capacity))
        assert service.end() == 0
    began = samples[0].when
    later = [sample.rss_mb for sample in samples if sample.when - began > SETTLED_S] or [samples[-1].rss_mb]
    row.figures |= {
        "capacity, requests/s": capacity,
        "offered, requests/s": TIMES * capacity,
        "answers": {str(status): count for status, count in sorted(answers.counts.items())},
        "p99 of 503, ms": answers.p99_ms.get(503, 0.0),
        "of the ledger": dict(ledger.became),
        "growth after 10 s, MB": max(later) - later[0],
    }
    row.should("there was too much", answers.counts.get(503, 0) > 0)
    row.must("nothing but 200 and 503", set(answers.counts) <= {200, 503})
    row.must("the ledger found nothing else", set(ledger.became) <= {"right", "503"} and ledger.became["right"] > 0)
    row.must("no traceback in the log", "Traceback" not in service.rest_of_log)
    row.should("memory is flat", max(later) - later[0] <= MOST_GROWTH_MB)
    row.settle()
