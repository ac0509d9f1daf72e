"""Few drawings are made once for each version and dropped with it; so is the explainer; an engine may have none."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from service.errors import NothingToExplain
from service.explain.explained_models import ExplainedModels
from service.inference.batcher import BatchLimits
from service.inference.model_runner import ModelRunner
from tests.fakes import FakeEngine


class Queue:
    """Stands for the line before the explaining process, and answers with what it was given."""

    def __init__(self, *outcomes: bytes | Exception) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.dropped: list[Any] = []
        self._outcomes = iter(outcomes)

    async def call(self, engine: Any, method: str, *arguments: object) -> bytes:
        self.calls.append((engine, method, *arguments))
        await asyncio.sleep(0)
        outcome = next(self._outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def drop(self, engine: Any) -> None:
        self.dropped.append(engine)


def runner() -> ModelRunner:
    engine: Any = FakeEngine()
    engine.source = "its file"
    return ModelRunner(engine, BatchLimits(8, 16), 30)


def models(queue: Any) -> ExplainedModels:
    return ExplainedModels(queue)


def test_a_drawing_is_made_once_however_many_ask() -> None:
    async def scenario() -> list[bytes]:
        explained = models(queue).of(runner())
        return await asyncio.gather(
            *(explained.once("key", lambda: explained.draw("curves", 1, "png")) for _ in range(10))
        )

    queue = Queue(b"drawing")
    assert asyncio.run(scenario()) == [b"drawing"] * 10
    assert queue.calls == [(None, "curves", 1, "png")]


def test_a_failure_is_not_remembered() -> None:
    async def scenario() -> bytes:
        explained = models(Queue(RuntimeError("no"), b"yes")).of(runner())
        with pytest.raises(RuntimeError):
            await explained.once("key", lambda: explained.draw("curves"))
        return await explained.once("key", lambda: explained.draw("curves"))

    assert asyncio.run(scenario()) == b"yes"


def test_a_drawing_that_is_not_one_of_few_is_made_each_time() -> None:
    async def scenario() -> list[bytes]:
        explained = models(Queue(b"one", b"two")).of(runner())
        return [await explained.draw("maps") for _ in range(2)]

    assert asyncio.run(scenario()) == [b"one", b"two"]


def test_each_version_has_its_own_explainer_and_drawings() -> None:
    async def scenario() -> None:
        all_models, first, second = models(Queue(b"first", b"second")), runner(), runner()
        assert all_models.of(first) is all_models.of(first)
        assert all_models.of(first).explainer is all_models.of(first).explainer
        for served, drawing in ((first, b"first"), (second, b"second"), (first, b"first")):
            explained = all_models.of(served)
            assert await explained.once("key", lambda explained=explained: explained.draw("curves")) == drawing

    asyncio.run(scenario())


def test_what_was_made_for_a_version_is_dropped_with_it() -> None:
    async def scenario() -> None:
        queue = Queue(b"drawing")
        all_models, served = models(queue), runner()
        explained = all_models.of(served)
        left = [weakref.ref(explained), weakref.ref(explained.explainer)]
        del explained
        await all_models.of(served).once("key", lambda: all_models.of(served).draw("curves"))
        gc.collect()
        assert all(reference() for reference in left)
        assert queue.dropped == []
        await served.close(1)
        await asyncio.sleep(0)
        gc.collect()
        assert not any(reference() for reference in left)
        assert queue.dropped == [served.engine]

    asyncio.run(scenario())


def test_an_engine_without_layers_has_drawings_of_its_card_and_no_explainer() -> None:
    async def scenario() -> None:
        bare = ModelRunner(FakeEngine(), BatchLimits(8, 16), 30)
        explained = models(Queue(b"curves")).of(bare)
        assert await explained.draw("curves") == b"curves"
        for what in ("explainer", "summary"):
            with pytest.raises(NothingToExplain, match="no layers to look into"):
                getattr(explained, what)
        explained.warm()

    asyncio.run(scenario())
