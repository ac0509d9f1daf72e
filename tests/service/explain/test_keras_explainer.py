"""Every method of the explainer, on the inference thread; what goes in and comes out can be sent to another process."""

import asyncio
import pickle
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from models.preprocessing import scaled
from service.explain.explainer import Explainer
from service.explain.keras_explainer import KerasExplainer
from service.inference.batcher import BatchLimits
from service.inference.model_runner import ModelRunner
from tests.applications import tensorflow_engine
from tests.fakes import FakeEngine
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL, pixels_of

LIMITS = BatchLimits(8, 16)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, BaseModel):
        return one == other
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return all(map(equal, one, other))
    return bool(np.array_equal(one, other))


def test_what_each_method_takes_and_gives_can_be_sent_to_another_process() -> None:
    async def scenario() -> None:
        runner = ModelRunner(tensorflow_engine(SHIPPED_MODEL), LIMITS, 60)
        explainer: Explainer = KerasExplainer(runner)
        image = scaled(pixels_of(ANKLE_BOOT)[..., np.newaxis], runner.card.input)
        calls: dict[str, tuple[Any, ...]] = {
            "summary": (),
            "summary_table": (),
            "diagram": (),
            "kernels": ("conv2d_1", 3),
            "feature_maps": (image, "conv2d"),
            "attribution": (image, "grad-cam", None),
            "trace": (image, "conv2d", 0, 5, 5),
        }
        assert calls.keys() == {name for name in vars(Explainer) if not name.startswith("_")}
        for name, given in calls.items():
            found = await getattr(explainer, name)(*pickle.loads(pickle.dumps(given)))
            assert equal(found, pickle.loads(pickle.dumps(found))), name
        await runner.close(1)

    asyncio.run(scenario())


def test_what_is_explained_is_made_once_for_a_version() -> None:
    async def scenario() -> None:
        runner = ModelRunner(tensorflow_engine(SHIPPED_MODEL), LIMITS, 60)
        explainer = KerasExplainer(runner)
        image = scaled(pixels_of(ANKLE_BOOT)[..., np.newaxis], runner.card.input)
        await explainer.attribution(image, "saliency", None)
        scored = explainer._scored
        await explainer.attribution(image, "saliency", 3)
        assert explainer._scored is scored
        await runner.close(1)

    asyncio.run(scenario())


def test_an_engine_without_a_keras_model_is_no_use_to_it() -> None:
    async def scenario() -> None:
        runner = ModelRunner(FakeEngine(), LIMITS, 60)
        with pytest.raises(TypeError, match="FakeEngine has none"):
            KerasExplainer(runner)
        await runner.close(1)

    asyncio.run(scenario())
