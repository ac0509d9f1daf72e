"""All calls for a long time, a tenth of them hostile, and a control that shows that a leak would be found."""

import asyncio
import random
import signal
import time
from collections.abc import Callable

import httpx
import psutil

from tests.chaos.answers import Right
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import LEFT, Ledger, call
from tests.chaos.memory import Growth, Sample, growth, watch
from tests.chaos.questions import REFUSALS, Question, friendly, hostile
from tests.chaos.services import Watched, watched_service

CALLERS = 4
HOSTILE_SHARE = 0.1
CONTROL_SAMPLE_S = 0.1
REPORT_EVERY_S = 60


def mixed(right: Right, seed: int) -> Callable[[], Question]:
    chance = random.Random(seed)
    return lambda: hostile(chance) if chance.random() < HOSTILE_SHARE else friendly(chance, right)


async def soak(
    service: Watched, right: Right, ledger: Ledger, every_s: float, enough: Callable[[], bool]
) -> list[Sample]:
    samples: list[Sample] = []
    stop = asyncio.Event()
    watching = asyncio.create_task(watch(psutil.Process(service.process.pid), every_s, samples))
    callers = [asyncio.create_task(call(service, ledger, stop, mixed(right, seed))) for seed in range(CALLERS)]
    reported = time.monotonic()
    try:
        while not enough():
            assert service.process.poll() is None, service.rest_of_log
            await asyncio.sleep(0.05)
            if time.monotonic() - reported > REPORT_EVERY_S:
                reported = time.monotonic()
                progress(f"{ledger.sent:,} requests, {samples[-1].rss_mb:.0f} MB")
    finally:
        stop.set()
        await asyncio.gather(*callers)
        watching.cancel()
    ledger.check()
    return samples


def shown(samples: list[Sample], grown: Growth, ledger: Ledger) -> dict[str, object]:
    return {
        "requests": ledger.sent,
        "became": dict(ledger.became),
        "samples": len(samples),
        "memory at the end, MB": samples[-1].rss_mb,
        "growth, MB": grown.rss_mb,
        "growth, open files": grown.files,
        "growth, threads": grown.threads,
    }


def test_nothing_grows(right: Right, figures: Callable[[str, str], Row]) -> None:
    row = figures(
        f"soak of {FORM.soak_s:,.0f} s, a tenth of it hostile",
        f"none wrong, only documented statuses; memory grows by {FORM.soak_growth_mb:.0f} MB at most",
    )
    ledger = Ledger(timeout_s=120)
    # What explains steps back behind the callers, and may take long over a drawing.
    with watched_service("--request-timeout-s", 50) as service:
        httpx.get(f"{service.url}/plot/kernels", timeout=60).raise_for_status()
        end = time.monotonic() + FORM.soak_s
        samples = asyncio.run(soak(service, right, ledger, FORM.sample_every_s, lambda: time.monotonic() > end))
        assert service.end() == 0
    grown = growth(samples)
    row.figures |= shown(samples, grown, ledger)
    documented = {"right", LEFT, *map(str, REFUSALS)}
    row.must(f"nothing undocumented and nothing late, but {ledger.late}", set(ledger.became) <= documented)
    row.must("no traceback in the log", "Traceback" not in service.rest_of_log)
    row.should(f"nothing leaks, but {grown.leaks(FORM.soak_growth_mb)}", not grown.leaks(FORM.soak_growth_mb))
    row.settle()


def test_a_leak_would_be_found(right: Right, figures: Callable[[str, str], Row]) -> None:
    row = figures(
        f"control: each of {FORM.leak_requests:,} requests keeps {FORM.leak_bytes / 1000:,.0f} kB",
        "the soak's judge finds the leak",
    )
    ledger = Ledger()
    with watched_service(plant="leak", PLANTED_BYTES=str(FORM.leak_bytes)) as service:
        # What explains starts for seconds, in which all callers wait and nothing leaks; then it is there.
        httpx.get(f"{service.url}/plot/kernels", timeout=60).raise_for_status()
        service.process.send_signal(signal.SIGUSR1)
        samples = asyncio.run(soak(service, right, ledger, CONTROL_SAMPLE_S, lambda: ledger.sent >= FORM.leak_requests))
    grown = growth(samples)
    row.figures |= shown(samples, grown, ledger)
    row.must("the leak is found", "memory" in grown.leaks(FORM.soak_growth_mb))
    row.settle()
