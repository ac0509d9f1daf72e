"""Three workers are told to load, to roll back and to load again, and are killed one after another meanwhile."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import httpx

from models.file_version import file_version
from tests.chaos.answers import IMAGES, Right, answers_of, is_right
from tests.chaos.figures import Row, progress
from tests.chaos.forms import FORM
from tests.chaos.services import Watched, watched_service
from tests.processes import STARTED
from tests.reloads import put
from tests.samples import SHIPPED_MODEL

WORKERS = 3
CALLERS = 8
LOAD = "/v2/repository/models/best-cnn-model/load"


class Answered(NamedTuple):
    sent: float
    received: float
    version: str
    right: bool


class Told(NamedTuple):
    """A call that was sent, and answered with 200: from then on all is of that version."""

    sent: float
    done: float
    version: str


class Callers:
    """They ask all the while, each time on a connection of its own, so that every worker is asked."""

    def __init__(self, service: Watched, right: Right) -> None:
        self._right = right
        self.answers: list[Answered] = []
        self.became: Counter[str] = Counter()
        limits = httpx.Limits(max_keepalive_connections=0)
        self.client = httpx.AsyncClient(base_url=service.url, timeout=60, limits=limits)

    async def ask_again_and_again(self, number: int) -> None:
        while True:
            number = (number + 1) % len(IMAGES)
            sent = time.monotonic()
            try:
                answer = await self.client.post("/predict?top_k=1000", content=IMAGES[number])
            except httpx.TransportError:  # its worker was killed
                self.became["broken off"] += 1
                continue
            self.became[str(answer.status_code)] += 1
            version = answer.json()["model"]["version"]
            found = {each["index"]: each["probability"] for each in answer.json()["probabilities"]}
            as_expected = is_right([found[index] for index in sorted(found)], self._right[version][number])
            self.answers.append(Answered(sent, time.monotonic(), version, as_expected))

    async def tell(self, wanted: str, **parameters: str) -> Told:
        sent = time.monotonic()
        answer = await self.client.post(LOAD, json={"parameters": parameters} if parameters else None)
        assert answer.status_code == 200, answer.text
        assert answer.json()["version"] == wanted
        return Told(sent, time.monotonic(), wanted)


async def kill_each(service: Watched, seed: int) -> None:
    for victim in random.Random(seed).sample(service.workers(), WORKERS):
        started = service.count(STARTED)
        await asyncio.sleep(FORM.seconds_between_kills / 2)
        victim.kill()
        await service.another_start(started + 1)
        progress(f"{victim.pid} was killed and replaced")
    await asyncio.sleep(FORM.seconds_between_kills / 2)


def test_every_worker_has_what_was_asked_once_that_is_answered_and_after_kills(
    right: Right, figures: Callable[[str, str], Row], other_model: Path, tmp_path: Path
) -> None:
    row = figures(
        "load, rollback and load again of 3 workers, each killed after each",
        "once a call is answered every answer is of the version that it asked for, also by workers that start later; "
        "none wrong",
    )
    first, second = file_version(SHIPPED_MODEL), file_version(other_model)
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    new = other_model.read_bytes()

    async def run(service: Watched) -> tuple[Callers, list[Told]]:
        callers = Callers(service, right | answers_of(other_model))
        async with callers.client:
            asking = [asyncio.create_task(callers.ask_again_and_again(number)) for number in range(CALLERS)]
            put(new, path)
            told = [await callers.tell(second)]
            await kill_each(service, 1)
            told.append(await callers.tell(first, version=first))
            await kill_each(service, 2)
            told.append(await callers.tell(second))
            await kill_each(service, 3)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return callers, told

    with watched_service("--model-path", path, "--workers", WORKERS) as service:
        callers, told = asyncio.run(run(service))
        assert len(service.workers()) == WORKERS
        assert service.end() == 0
    mixed = 0
    for now, after in pairwise([*told, Told(float("inf"), float("inf"), "")]):
        settled = [one for one in callers.answers if now.done <= one.sent and one.received <= after.sent]
        assert settled
        mixed += sum(one.version != now.version for one in settled)
    row.figures |= {
        "requests": sum(callers.became.values()),
        "became": dict(callers.became),
        "kills": WORKERS * len(told),
        "calls took, s": [one.done - one.sent for one in told],
        "of another version than was asked for": mixed,
    }
    row.must("no answer of another version", mixed == 0)
    row.must("all right", all(one.right for one in callers.answers))
    row.must("nothing but answers and broken connections", set(callers.became) <= {"200", "broken off"})
    row.settle()
