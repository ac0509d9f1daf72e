"""One call at a time, a few wait; the process is started when needed, replaced when it dies, and ended in the end.

It is a real process, but for what it does when it is called: that is in `stand_in`.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from models.file_version import file_version
from service.errors import DeadlineExceeded, InferenceFailed, NothingToExplain, NotInModel, NotReady, Overloaded
from service.explain.process import loaded_models, parent, queue
from service.explain.process.loaded_models import MOST_MODELS
from service.explain.process.queue import MOST_WAITING, ExplanationQueue
from service.model_files.source import ModelSource, hold
from tests.fakes import FakeEngine
from tests.service.explain.process import stand_in

Scenario = Callable[[ExplanationQueue], Awaitable[None]]
TIMEOUT_S = 60.0


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "CHILD", stand_in.__name__)


@pytest.fixture
def go_on(tmp_path: Path) -> Path:
    """A call that is given this hangs until it is there."""
    return tmp_path / "go on"


def run(scenario: Scenario) -> None:
    async def with_queue() -> None:
        explanations = ExplanationQueue(TIMEOUT_S)
        try:
            await scenario(explanations)
        finally:
            await explanations.close()
        assert explanations.process is None
        assert children() == []

    asyncio.run(with_queue())


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if stand_in.__name__ in _command(child)]


def _command(child: psutil.Process) -> str:
    try:
        return " ".join(child.cmdline())
    except psutil.ZombieProcess:
        return stand_in.__name__  # nobody has buried it yet
    except psutil.NoSuchProcess:
        return ""


def process_of(explanations: ExplanationQueue) -> psutil.Process:
    assert explanations.process is not None
    return psutil.Process(explanations.process.pid)


async def until(condition: Callable[[], object]) -> None:
    """Many turns of the event loop, until it is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process's
            await asyncio.sleep(0.005)


def let(go_on: Path) -> None:
    go_on.touch()


class Model(FakeEngine):
    """Loaded from a file, which it holds."""

    source: ModelSource | None

    def __init__(self, path: Path) -> None:
        super().__init__(file_version(path))
        self.source = hold(path, 1000)


def model(path: Path, content: str) -> Model:
    path.write_text(content)
    return Model(path)


def test_the_process_is_started_by_the_first_call_and_answers_the_next() -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        assert explanations.process is None
        assert await explanations.call(None, "curves") == "curves"
        first = explanations.process
        assert await explanations.call(None, "matrix") == "matrix"
        assert explanations.process is first

    run(scenario)


def test_errors_are_raised_as_they_were_there_and_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        with pytest.raises(NotInModel, match="no such layer"):
            await explanations.call(None, "refuse")
        first = explanations.process
        with pytest.raises(InferenceFailed, match="its log says more"):
            await explanations.call(None, "fail")
        assert await explanations.call(None, "curves") == "curves"
        assert explanations.process is first

    run(scenario)
    assert "what the log says" in caplog.text


def test_memory_is_bounded_and_the_process_goes_on() -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        assert await explanations.call(None, "grow", 16) == 16
        first = explanations.process
        with pytest.raises(NothingToExplain, match="more than 1024 MiB of memory"):
            await explanations.call(None, "grow", 512)
        assert await explanations.call(None, "grow", 16) == 16
        assert explanations.process is first

    run(scenario)


@pytest.mark.parametrize("how", ["die", "foreign"])
def test_a_process_that_dies_or_cannot_be_believed_is_replaced(how: str) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        first = process_of(explanations)
        with pytest.raises(NotReady, match="send it again") as caught:
            await explanations.call(None, how)
        assert caught.value.retry_after_s
        assert not first.is_running()
        assert await explanations.call(None, "curves") == "curves"

    run(scenario)


def test_a_process_that_is_killed_in_the_middle_of_a_call_is_replaced(go_on: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        hanging = asyncio.create_task(explanations.call(None, "hang", str(go_on)))
        waiting = asyncio.create_task(explanations.call(None, "curves"))
        await until(go_on.with_name("go on begun").exists)
        process_of(explanations).kill()
        with pytest.raises(NotReady):
            await hanging
        assert await waiting == "curves"

    run(scenario)


def test_a_process_that_died_while_it_had_nothing_to_do_fails_nobody() -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        process_of(explanations).kill()
        await until(lambda: explanations.process is None)  # though nobody has asked for anything
        assert await explanations.call(None, "curves") == "curves"

    run(scenario)


def test_a_call_that_overruns_its_deadline_ends_with_its_process(go_on: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        first = process_of(explanations)
        explanations._timeout_s = 0.5
        with pytest.raises(DeadlineExceeded, match=r"within 0.5 s"):
            await explanations.call(None, "hang", str(go_on))
        await until(lambda: explanations.process is None and not children())
        assert not first.is_running()
        explanations._timeout_s = TIMEOUT_S  # for the others, which are not to be late on a busy machine
        assert await explanations.call(None, "curves") == "curves"

    run(scenario)


def test_what_takes_long_in_parts_gives_up_in_time_and_its_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_OWN_SHARE", 0.01)  # long before it would be ended, also on a busy machine

    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        first = explanations.process
        with pytest.raises(DeadlineExceeded, match=r"this was not explained within 60 s"):
            await explanations.call(None, "take time")
        assert explanations.process is first
        assert await explanations.call(None, "curves") == "curves"

    run(scenario)


def test_who_waited_long_is_told_so_in_time_and_the_process_goes_on(go_on: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        first = explanations.process
        hanging = asyncio.create_task(explanations.call(None, "hang", str(go_on)))
        waiting = asyncio.create_task(explanations.call(None, "hang", str(go_on) + " never"))
        await asyncio.sleep(0)
        # As if it had waited for nearly all of its time.
        explanations._waiting[-1].deadline = asyncio.get_running_loop().time() + 0.1
        let(go_on)
        await hanging
        with pytest.raises(DeadlineExceeded):
            await waiting
        assert explanations.process is first
        let(go_on.with_name(go_on.name + " never"))
        assert await explanations.call(None, "curves") == "curves"
        assert explanations.process is first

    run(scenario)


def test_starting_the_process_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        loop, start = asyncio.get_running_loop(), loaded_models.LoadedModels._start

        async def slowly(models: loaded_models.LoadedModels) -> None:
            await start(models)
            usual = loop.time
            monkeypatch.setattr(loop, "time", lambda: usual() + 2 * TIMEOUT_S)

        monkeypatch.setattr(loaded_models.LoadedModels, "_start", slowly)
        calls = [explanations.call(None, f"call {number}") for number in range(3)]
        assert await asyncio.gather(*calls) == ["call 0", "call 1", "call 2"]

    run(scenario)


def test_a_process_that_does_not_start_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded_models, "START_S", 0.001)

    async def scenario(explanations: ExplanationQueue) -> None:
        with pytest.raises(NotReady, match=r"did not start within 0.001 s"):
            await explanations.call(None, "curves")
        assert explanations.process is None

    run(scenario)


def test_no_more_wait_than_may(go_on: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        hanging = asyncio.create_task(explanations.call(None, "hang", str(go_on)))
        waiting = [asyncio.create_task(explanations.call(None, "curves")) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="8 explanations wait") as caught:
            await explanations.call(None, "curves")
        assert caught.value.retry_after_s
        let(go_on)
        await hanging
        assert await asyncio.gather(*waiting) == ["curves"] * MOST_WAITING

    run(scenario)


def test_who_leaves_waits_no_longer_and_makes_room(go_on: Path, tmp_path: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        hanging = asyncio.create_task(explanations.call(None, "hang", str(go_on)))
        # Would it be called it would never come back.
        leaving = asyncio.create_task(explanations.call(None, "hang", str(tmp_path / "nowhere")))
        waiting = [asyncio.create_task(explanations.call(None, "curves")) for _ in range(MOST_WAITING - 1)]
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        waiting.append(asyncio.create_task(explanations.call(None, "curves")))
        let(go_on)
        await hanging
        assert await asyncio.gather(*waiting) == ["curves"] * MOST_WAITING

    run(scenario)


def test_it_ends_after_idling_and_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "IDLE_S", 0.05)

    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        await until(lambda: explanations.process is None and not children())
        assert await explanations.call(None, "curves") == "curves"

    run(scenario)


def test_it_can_be_started_before_anybody_asks(tmp_path: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        served = model(tmp_path / "model", "one")
        explanations.warm(served)
        explanations.warm(served)
        await until(lambda: served in explanations._models)
        first = explanations.process
        explanations.warm(served)
        assert await explanations.call(None, "loaded") == [served.version]
        assert explanations.process is first

    run(scenario)


def test_a_call_goes_before_a_model_that_nobody_has_asked_for_yet(tmp_path: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        served = model(tmp_path / "model", "one")
        explanations.warm(served)
        await asyncio.sleep(0)
        assert await explanations.call(None, "loaded") == []
        await until(lambda: served in explanations._models)

    run(scenario)


def test_a_version_is_explained_from_its_own_file_whatever_came_in_its_place(tmp_path: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        path = tmp_path / "model"
        old = model(path, "one")
        (tmp_path / "new").write_text("two")
        (tmp_path / "new").replace(path)
        new = Model(path)
        assert old.version != new.version
        assert await explanations.call(old, "version") == old.version
        assert await explanations.call(new, "version") == new.version
        assert await explanations.call(old, "version") == old.version

    run(scenario)


def test_a_file_that_was_closed_with_its_model_is_told(tmp_path: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        served = model(tmp_path / "model", "one")
        assert served.source is not None
        served.source.close()
        with pytest.raises(NotReady, match="closed together with its model"):
            await explanations.call(served, "version")

    run(scenario)


def test_the_model_that_was_used_longest_ago_makes_room_for_another(tmp_path: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        models = [model(tmp_path / str(number), str(number)) for number in range(MOST_MODELS + 1)]
        *first, last = models
        for served in (*first, models[0], last):
            await explanations.call(served, "version")
        kept = [one.version for one in models if one is not models[1]]
        assert await explanations.call(None, "loaded") == sorted(kept)
        assert await explanations.call(models[1], "version") == models[1].version

    run(scenario)


def test_a_dropped_version_is_dropped_there_and_the_last_one_with_the_process(tmp_path: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        one, other = model(tmp_path / "one", "one"), model(tmp_path / "other", "other")
        for served in (one, other):
            await explanations.call(served, "version")
        explanations.drop(one)
        assert await explanations.call(None, "loaded") == [other.version]
        explanations.drop(other)
        await until(lambda: not children())
        assert explanations.process is None

    run(scenario)


def test_closing_gives_up_on_whoever_waits(go_on: Path) -> None:
    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        calls = [asyncio.create_task(explanations.call(None, "hang", str(go_on))) for _ in range(3)]
        await asyncio.sleep(0)
        await explanations.close()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, NotReady)
        with pytest.raises(NotReady, match="stopping"):
            await explanations.call(None, "curves")

    run(scenario)


def test_the_services_own_signals_do_not_end_it(go_on: Path) -> None:
    """A terminal sends them to all processes of a group, a system's manager to all of a service."""

    async def scenario(explanations: ExplanationQueue) -> None:
        await explanations.call(None, "curves")
        hanging = asyncio.create_task(explanations.call(None, "hang", str(go_on)))
        await until(go_on.with_name("go on begun").exists)
        assert os.getpgid(process_of(explanations).pid) != os.getpgrp()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            process_of(explanations).send_signal(number)
        let(go_on)
        assert await hanging == "hang"

    run(scenario)
