"""New model files under load, half of them broken: no request fails, each answer is right for the version it names."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.chaos.answers import Right, answers_of
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.ledger import Ledger, load
from tests.chaos.memory import look_at
from tests.chaos.services import Watched, watched_service
from tests.reloads import outcomes, put
from tests.samples import SHIPPED_MODEL

CONNECTIONS = 4
SETTLED_AFTER = 20
TURN_S = 60


def load_by_call(service: Watched) -> None:
    """A broken file is told in the answer, which is not what is looked at here."""
    httpx.post(f"{service.url}/v2/repository/models/best-cnn-model/load", timeout=TURN_S)


WAYS: dict[str, Callable[[Watched], None]] = {
    "SIGHUP": lambda service: os.kill(service.process.pid, signal.SIGHUP),
    "load": load_by_call,
    "watch": lambda service: None,
}


@pytest.mark.parametrize(("ways", "reloads"), [(("SIGHUP", "load"), FORM.reloads), (("watch",), FORM.watched_reloads)])
def test_no_request_fails_and_no_broken_file_ever_answers(
    tmp_path: Path,
    other_model: Path,
    right: Right,
    figures: Callable[[str, str], Row],
    ways: tuple[str, ...],
    reloads: int,
) -> None:
    row = figures(
        f"{reloads} new models, half of them broken, by {' and '.join(ways)}",
        "no request fails, each answer is right for the version it names, no broken file answers",
    )
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    good = [other_model.read_bytes(), SHIPPED_MODEL.read_bytes()]
    broken = [good[0][:30_000], b"", good[0].replace(b"Conv2D", b"Lambda")]
    ledger = Ledger()
    memory_mb: list[float] = []

    def turn(service: Watched, number: int) -> None:
        """A good file and a broken one in turn, each by the next way, until it is known what became of it."""
        pair = number // 2
        content, outcome = (good[pair % 2], "loaded") if number % 2 == 0 else (broken[pair % 3], "refused")
        before = outcomes(service.url)
        put(content, path)
        WAYS[ways[pair % len(ways)]](service)
        while outcomes(service.url)[outcome] == before[outcome]:
            assert service.process.poll() is None, service.rest_of_log

    async def run(service: Watched) -> None:
        process = psutil.Process(service.process.pid)
        async with load(service, ledger, right | answers_of(other_model), CONNECTIONS):
            for number in range(reloads):
                await asyncio.wait_for(asyncio.to_thread(turn, service, number), 2 * TURN_S)
                memory_mb.append(look_at(process).rss_mb)
                if number % 10 == 9:
                    progress(f"reload {number + 1} of {reloads}: {memory_mb[-1]:.0f} MB")

    options = ["--model-path", path, *(["--watch"] if "watch" in ways else [])]
    with watched_service(*options) as service:
        asyncio.run(run(service))
        found = outcomes(service.url)
        assert service.end() == 0
    row.figures |= {
        "requests": ledger.sent,
        "became": dict(ledger.became),
        "outcomes": dict(found),
        f"memory after {min(SETTLED_AFTER, reloads)}, MB": memory_mb[min(SETTLED_AFTER, reloads) - 1],
        "memory at the end, MB": memory_mb[-1],
    }
    row.must("half is taken and half refused", found == {"loaded": reloads // 2, "refused": reloads // 2})
    row.must("every request is answered rightly", set(ledger.became) == {"right"})
    row.must("there was load", ledger.sent > 100)
    row.must("the log says what was refused", "is refused" in service.rest_of_log)
    row.must("no traceback in the log", "Traceback" not in service.rest_of_log)
    row.settle()
