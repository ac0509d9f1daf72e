"""The live model: pixels are scaled as the card says, and all runs on one thread, not the event loop's."""

import asyncio
import threading

import numpy as np
import pytest

from models.preprocessing import ModelInput
from service.engines.base import EngineOutput
from service.errors import NotReady
from service.inference.batcher import BatchLimits
from service.inference.model_runner import ModelRunner
from service.metrics import REGISTRY
from tests.fakes import FakeEngine, image_for

OWL = image_for("owl")[..., np.newaxis]


class Watched(FakeEngine):
    """Remembers on which threads it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def infer(self, batch: ModelInput) -> EngineOutput:
        self.threads.add(threading.get_ident())
        return super().infer(batch)


def runner_for(engine: FakeEngine) -> ModelRunner:
    return ModelRunner(engine, BatchLimits(batch_rows=8, queue_rows=100), timeout_s=60)


def test_pixels_are_scaled_as_the_card_says() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        runner = runner_for(engine)
        (answer,) = await runner.submit([OWL], runner.deadline())
        assert answer.probabilities == pytest.approx([0, 0, 1], abs=1e-5)
        assert answer.ood_score is None
        (batch,) = engine.batches
        assert batch.dtype == np.float32
        assert batch.ravel()[:4].tolist() == pytest.approx([0, 0, 1, 0])
        await runner.close(1)

    asyncio.run(scenario())


def test_rows_of_numbers_go_to_the_network_as_they_are_beside_images() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        runner = runner_for(engine)
        numbers = np.full((4, 4, 1), 0.25, np.float32)
        await runner.submit([OWL, numbers, OWL], runner.deadline())
        (batch,) = engine.batches
        assert batch.dtype == np.float32
        assert batch[0].max() == batch[2].max() == pytest.approx(1)
        assert np.array_equal(batch[1], numbers)
        await runner.close(1)

    asyncio.run(scenario())


def test_one_image_without_a_probability_does_not_spoil_the_mean_confidence() -> None:
    def told(part: str) -> float:
        value = REGISTRY.get_sample_value(f"keras_service_confidence_{part}", {"model": "fake"})
        assert value is not None
        return value

    async def scenario() -> None:
        runner = runner_for(FakeEngine())
        images, total = told("count"), told("sum")
        await runner.submit([OWL, np.full((4, 4, 1), np.nan, np.float32), OWL], runner.deadline())
        assert told("count") - images == 2
        assert told("sum") - total == pytest.approx(2, abs=1e-4)
        await runner.close(1)

    asyncio.run(scenario())


def test_ood_score_is_what_the_engine_says() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        engine.ood_score = 0.25
        runner = runner_for(engine)
        (answer,) = await runner.submit([OWL], runner.deadline())
        assert answer.ood_score == 0.25
        await runner.close(1)

    asyncio.run(scenario())


def test_everything_runs_on_one_thread_that_is_not_the_event_loops() -> None:
    async def scenario() -> None:
        engine = Watched()
        runner = runner_for(engine)
        await asyncio.gather(*(runner.submit([OWL], runner.deadline()) for _ in range(20)))
        assert len(engine.threads) == 1
        assert engine.threads != {threading.get_ident()}
        await runner.close(1)

    asyncio.run(scenario())


def test_whoever_keeps_something_for_it_is_told_when_it_is_closed() -> None:
    async def scenario() -> None:
        runner = runner_for(FakeEngine())
        dropped: list[str] = []
        runner.closed.add_done_callback(lambda _: dropped.append("dropped"))
        assert dropped == []
        await runner.close(1)
        await runner.close(1)
        await asyncio.sleep(0)
        assert dropped == ["dropped"]

    asyncio.run(scenario())


def test_a_closed_model_is_not_ready_and_takes_nothing() -> None:
    async def scenario() -> None:
        runner = runner_for(FakeEngine())
        runner.ensure_capacity()
        assert runner.ready
        await runner.close(1)
        assert not runner.ready
        with pytest.raises(NotReady):
            runner.ensure_capacity()
        with pytest.raises(NotReady):
            runner.submit([OWL], runner.deadline())

    asyncio.run(scenario())
