"""The live model: pixels are scaled as the card says, and all runs on one thread, not the event loop's."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from models.preprocessing import ModelInput
from service.errors import NotReady
from service.inference.batcher import BatchLimits
from service.inference.model_runner import ModelRunner
from tests.fakes import FakeEngine, image_for

OWL = image_for("owl")[..., np.newaxis]


class Watched(FakeEngine):
    """Remembers on which threads it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def answer(self, batch: ModelInput) -> tuple[Any, Any]:
        self.threads.add(threading.get_ident())
        return super().answer(batch)


def live_model(classifier: FakeEngine) -> ModelRunner:
    return ModelRunner(classifier, BatchLimits(batch_rows=8, queue_rows=100), timeout_s=60)


def test_pixels_are_scaled_as_the_card_says() -> None:
    async def scenario() -> None:
        classifier = FakeEngine()
        live = live_model(classifier)
        (answer,) = await live.predict([OWL], live.deadline())
        assert answer.probabilities == pytest.approx([0, 0, 1], abs=1e-5)
        assert answer.familiarity is None
        (batch,) = classifier.batches
        assert batch.dtype == np.float32
        assert batch.ravel()[:4].tolist() == pytest.approx([0, 0, 1, 0])
        await live.close(1)

    asyncio.run(scenario())


def test_rows_of_numbers_go_to_the_network_as_they_are_beside_images() -> None:
    async def scenario() -> None:
        classifier = FakeEngine()
        live = live_model(classifier)
        numbers = np.full((4, 4, 1), 0.25, np.float32)
        await live.predict([OWL, numbers, OWL], live.deadline())
        (batch,) = classifier.batches
        assert batch.dtype == np.float32
        assert batch[0].max() == batch[2].max() == pytest.approx(1)
        assert np.array_equal(batch[1], numbers)
        await live.close(1)

    asyncio.run(scenario())


def test_familiarity_is_what_the_classifier_says() -> None:
    async def scenario() -> None:
        classifier = FakeEngine()
        classifier.familiarity = 0.25
        live = live_model(classifier)
        (answer,) = await live.predict([OWL], live.deadline())
        assert answer.familiarity == 0.25
        await live.close(1)

    asyncio.run(scenario())


def test_everything_runs_on_one_thread_that_is_not_the_event_loops() -> None:
    async def scenario() -> None:
        classifier = Watched()
        live = live_model(classifier)
        await asyncio.gather(*(live.predict([OWL], live.deadline()) for _ in range(20)))
        inspected = await live.inspect(lambda _network: threading.get_ident())
        assert classifier.threads == {inspected}
        assert inspected != threading.get_ident()
        await live.close(1)

    asyncio.run(scenario())


def test_what_is_asked_of_the_network_is_asked_of_the_classifiers_own() -> None:
    async def scenario() -> None:
        classifier = FakeEngine()
        classifier.model = object()
        live = live_model(classifier)
        assert await live.inspect(lambda model: model) is classifier.model
        await live.close(1)

    asyncio.run(scenario())


def test_a_closed_model_is_not_ready_and_takes_nothing() -> None:
    async def scenario() -> None:
        live = live_model(FakeEngine())
        live.ensure_capacity()
        assert live.ready
        await live.close(1)
        assert not live.ready
        with pytest.raises(NotReady):
            live.ensure_capacity()
        with pytest.raises(NotReady):
            live.predict([OWL], live.deadline())

    asyncio.run(scenario())
