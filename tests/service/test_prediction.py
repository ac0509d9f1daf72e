"""Images → answers, without a protocol: capacity, order, positions of errors, deadlines, clients that leave."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from models.image_errors import ImageError, UnknownFormat
from service.errors import ClientDisconnected, DeadlineExceeded, NotFound, NotReady, Overloaded
from service.inference.batcher import BatchLimits
from service.inference.decoder import Decoder
from service.inference.desired_state import DesiredState
from service.inference.model_runner import ModelRunner
from service.inference.numbered_versions import LoadedModel
from service.inference.repository import ModelRepository
from service.inference.thread_pool import ThreadPool
from service.inference.waiting_bytes import WaitingBytes
from service.prediction import Prediction
from tests.fakes import FakeEngine, Hold, image_for
from tests.samples import encoded

LABELS = ("cat", "dog", "owl")
IMAGES = {label: encoded(image_for(label)) for label in LABELS}


async def stays() -> None:
    """A client who never leaves."""
    await asyncio.Event().wait()


async def left() -> None:
    """One who has."""


def run(folder: Path, scenario: Callable[[Prediction, FakeEngine], Awaitable[None]]) -> None:
    async def with_prediction() -> None:
        engine = FakeEngine()

        def start(given: object, number: object) -> ModelRunner:
            return ModelRunner(engine, BatchLimits(2, 6), 30)

        repository = ModelRepository(
            [LoadedModel(folder / "fake.h5", engine)], start, lambda _: engine, None, 0, 0, DesiredState(folder)
        )
        threads = ThreadPool()
        await scenario(Prediction(repository, Decoder(10_000, 10, WaitingBytes(100_000_000)), threads), engine)
        await repository.close(1)
        threads.close()

    asyncio.run(with_prediction())


def label(scores: list[float]) -> str:
    return LABELS[scores.index(max(scores))]


def test_encoded_images_pixels_and_model_inputs_are_answered_in_order(tmp_path: Path) -> None:
    async def scenario(prediction: Prediction, engine: FakeEngine) -> None:
        pixels = image_for("dog")[..., np.newaxis]
        images = [IMAGES["owl"], pixels, (pixels / 255).astype(np.float32), IMAGES["cat"]]
        predicted = await prediction.predict(prediction.find(None), images, stays)
        assert [label(one.scores.probabilities) for one in predicted] == ["owl", "dog", "dog", "cat"]
        assert np.array_equal(predicted[0].image, image_for("owl")[..., np.newaxis])
        assert predicted[1].image is pixels

    run(tmp_path, scenario)


def test_the_first_image_that_cannot_be_used_fails_the_request_and_says_which_it_is(tmp_path: Path) -> None:
    async def scenario(prediction: Prediction, engine: FakeEngine) -> None:
        with pytest.raises(UnknownFormat) as caught:
            await prediction.predict(prediction.find(None), [IMAGES["owl"], b"text", b""], stays)
        assert caught.value.position == 1
        assert engine.batches == []

    run(tmp_path, scenario)


def test_or_has_its_error_in_its_place(tmp_path: Path) -> None:
    async def scenario(prediction: Prediction, engine: FakeEngine) -> None:
        results = await prediction.predict_each(prediction.find(None), [b"text", IMAGES["owl"], b""], stays)
        told = [one.code if isinstance(one, ImageError) else label(one.scores.probabilities) for one in results]
        assert told == ["unknown_format", "owl", "empty_image"]
        nothing = await prediction.predict_each(prediction.find(None), [b"text"], stays)
        assert [type(one) for one in nothing] == [UnknownFormat]
        assert [len(batch) for batch in engine.batches] == [1]

    run(tmp_path, scenario)


def test_what_does_not_fit_is_refused_before_any_work(tmp_path: Path) -> None:
    async def scenario(prediction: Prediction, engine: FakeEngine) -> None:
        with pytest.raises(Overloaded):
            await prediction.predict(prediction.find(None), [b"not even looked at"] * 7, stays)
        with pytest.raises(NotFound):
            prediction.find("hats")
        runner = prediction.find("fake")
        await runner.close(1)
        with pytest.raises(NotReady):
            prediction.find(None)

    run(tmp_path, scenario)


def test_a_deadline_that_has_passed_is_told(tmp_path: Path) -> None:
    async def scenario(prediction: Prediction, engine: FakeEngine) -> None:
        with pytest.raises(DeadlineExceeded):
            await prediction.predict(prediction.find(None), [IMAGES["owl"]], stays, deadline=time.monotonic())
        assert engine.batches == []

    run(tmp_path, scenario)


@pytest.mark.parametrize("each", [True, False])
def test_a_client_who_has_left_costs_no_forward_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: bool
) -> None:
    monkeypatch.setattr(ModelRunner, "backed_up", True)

    async def scenario(prediction: Prediction, engine: FakeEngine) -> None:
        runner = prediction.find(None)
        hold = Hold(engine)
        holding = runner.submit([image_for("dog")[..., np.newaxis]], runner.deadline())
        await asyncio.to_thread(hold.begun.wait)
        ask = prediction.predict_each if each else prediction.predict
        with pytest.raises(ClientDisconnected):
            await ask(runner, [IMAGES["owl"]], left)
        hold.go_on.set()
        await holding
        (answer,) = await prediction.predict(runner, [IMAGES["cat"]], stays)
        assert label(answer.scores.probabilities) == "cat"
        assert [len(batch) for batch in engine.batches] == [1]

    run(tmp_path, scenario)
