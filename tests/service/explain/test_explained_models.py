"""Drawings are made once for each version and dropped with it; so is the explainer; an engine may have none."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from service.errors import NothingToExplain
from service.explain.explained_models import ExplainedModels
from service.inference.batcher import BatchLimits
from service.inference.model_runner import ModelRunner
from tests.fakes import FakeEngine


class Explainer:
    """Knows nothing but its runner."""

    def __init__(self, runner: ModelRunner) -> None:
        self.runner = runner


def runner() -> ModelRunner:
    return ModelRunner(FakeEngine(), BatchLimits(8, 16), 30)


def models() -> ExplainedModels:
    make: Any = Explainer
    return ExplainedModels(make)


def test_a_drawing_is_made_once_however_many_ask() -> None:
    drawn: list[int] = []

    def draw() -> bytes:
        drawn.append(threading.get_ident())
        return b"drawing"

    async def scenario() -> list[bytes]:
        explained = models().of(runner())
        return await asyncio.gather(*(explained.draw(draw, "key") for _ in range(10)))

    assert asyncio.run(scenario()) == [b"drawing"] * 10
    assert len(drawn) == 1
    assert drawn[0] != threading.get_ident()


def test_a_failure_is_not_remembered() -> None:
    outcomes = iter([RuntimeError("no"), b"yes"])

    def draw() -> bytes:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def scenario() -> bytes:
        explained = models().of(runner())
        with pytest.raises(RuntimeError):
            await explained.draw(draw, "key")
        return await explained.draw(draw, "key")

    assert asyncio.run(scenario()) == b"yes"


def test_a_drawing_without_a_key_is_made_each_time() -> None:
    drawn = iter([b"one", b"two"])

    async def scenario() -> list[bytes]:
        explained = models().of(runner())
        return [await explained.draw(lambda: next(drawn)) for _ in range(2)]

    assert asyncio.run(scenario()) == [b"one", b"two"]


def test_each_version_has_its_own_explainer_and_drawings() -> None:
    async def scenario() -> None:
        all_models, first, second = models(), runner(), runner()
        assert all_models.of(first) is all_models.of(first)
        assert all_models.of(first).explainer is all_models.of(first).explainer
        assert await all_models.of(first).draw(lambda: b"first", "key") == b"first"
        assert await all_models.of(second).draw(lambda: b"second", "key") == b"second"

    asyncio.run(scenario())


def test_what_was_made_for_a_version_is_dropped_with_it() -> None:
    async def scenario() -> None:
        all_models, served = models(), runner()
        explained = all_models.of(served)
        left = [weakref.ref(explained), weakref.ref(explained.explainer)]
        await explained.draw(lambda: b"drawing", "key")
        del explained
        gc.collect()
        assert all(reference() for reference in left)
        await served.close(1)
        await asyncio.sleep(0)
        gc.collect()
        assert not any(reference() for reference in left)

    asyncio.run(scenario())


def test_an_engine_without_layers_has_drawings_of_its_card_and_no_explainer() -> None:
    async def scenario() -> None:
        explained = ExplainedModels(None).of(runner())
        assert await explained.draw(lambda: b"curves") == b"curves"
        with pytest.raises(NothingToExplain, match="no layers to look into"):
            _ = explained.explainer

    asyncio.run(scenario())
