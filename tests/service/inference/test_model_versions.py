"""Another version answers while the old one does; a broken file changes nothing; kept versions can be switched to."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.card import ModelFileError
from service.engines.base import Engine
from service.errors import NotFound, NotReady
from service.inference.batcher import BatchLimits
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions
from service.metrics import exposition
from tests.fakes import FakeEngine, image_for

OWL = image_for("owl")[..., np.newaxis]


def versions_of(loads: list[Callable[[], Engine]], keep: int = 1, grace_s: float = 60) -> ModelVersions:
    """Version 0 answers; the others come from `loads`, one after the other."""
    return ModelVersions(
        FakeEngine("0"),
        lambda engine, _: ModelRunner(engine, BatchLimits(8, 16), 30),
        lambda _: loads.pop(0)(),
        Path("model.h5"),
        keep,
        grace_s,
    )


def refused() -> Engine:
    raise ModelFileError("it is broken")


def test_the_new_one_answers_and_the_old_one_what_it_was_asked() -> None:
    async def scenario() -> None:
        versions = versions_of([lambda: FakeEngine("1")])
        old = versions.current
        asked = old.submit([OWL], old.deadline())
        await versions.switch_to("1")
        assert (versions.current.version, [runner.version for runner in versions.previous]) == ("1", ["0"])
        assert len(await asked) == 1
        # Somebody who had the old one in hand can still ask it.
        assert len(await old.submit([OWL], old.deadline())) == 1
        assert len(await versions.current.submit([OWL], old.deadline())) == 1
        await versions.close(1)
        assert not old.ready

    asyncio.run(scenario())


def test_a_file_that_is_refused_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        versions = versions_of([refused, lambda: 1 / 0, lambda: FakeEngine("1")])  # type: ignore[list-item,return-value]
        for part in ("it is broken", "could not be loaded: division by zero"):
            with pytest.raises(ModelFileError, match=part):
                await versions.switch_to("1")
            assert versions.current.version == "0"
            assert versions.current.ready
        await versions.switch_to("1")
        assert versions.current.version == "1"
        await versions.close(1)

    asyncio.run(scenario())


def test_the_version_that_answers_already_is_not_loaded_again() -> None:
    async def scenario() -> None:
        versions = versions_of([])
        current = versions.current
        await versions.switch_to("0")
        assert versions.current is current
        await versions.close(1)

    asyncio.run(scenario())


def test_no_more_previous_versions_are_kept_than_were_asked_for() -> None:
    async def scenario() -> None:
        versions = versions_of([lambda number=number: FakeEngine(number) for number in "123"], keep=2, grace_s=0)
        first = versions.current
        for version in "123":
            await versions.switch_to(version)
        assert [runner.version for runner in versions.previous] == ["2", "1"]
        assert versions.version("1") is versions.previous[1]
        with pytest.raises(NotFound, match="version '0' is not here; there are 3, 2, 1"):
            versions.version("0")
        await first.closed
        with pytest.raises(NotReady):
            first.submit([OWL], first.deadline())
        await versions.close(1)

    asyncio.run(scenario())


def test_a_version_that_is_kept_answers_again_without_being_loaded() -> None:
    async def scenario() -> None:
        versions = versions_of([lambda: FakeEngine("1")])
        await versions.switch_to("1")
        await versions.switch_to("0")
        assert versions.current.version == "0"
        assert [runner.version for runner in versions.previous] == ["1"]
        assert len(await versions.current.submit([OWL], versions.current.deadline())) == 1
        await versions.switch_to("1")
        assert versions.current.version == "1"
        await versions.close(1)

    asyncio.run(scenario())


def exposed(name: str) -> list[str]:
    return [line for line in exposition().decode().splitlines() if line.startswith(name)]


def test_however_many_versions_come_and_go_there_are_series_of_those_in_memory_only() -> None:
    """A thousand hot reloads, each with other class names."""

    def named(number: int) -> Engine:
        engine = FakeEngine(f"{number:012x}")
        names = tuple(f"class {number}.{label}" for label in range(3))
        engine.card = engine.card.model_copy(update={"name": "of-many", "class_names": names})
        return engine

    async def scenario() -> None:
        numbers = iter(range(1, 1001))
        versions = ModelVersions(
            named(0),
            lambda engine, _: ModelRunner(engine, BatchLimits(8, 16), 30),
            lambda _: named(next(numbers)),
            Path("model.h5"),
            1,
            0.01,
        )
        for number in range(1, 1001):
            await versions.switch_to(f"{number:012x}")
        await asyncio.gather(*versions._retiring)
        assert exposed('keras_service_model_info{device="nowhere",name="of-many"') == [
            'keras_service_model_info{device="nowhere",name="of-many",version="0000000003e7"} 0.0',
            'keras_service_model_info{device="nowhere",name="of-many",version="0000000003e8"} 1.0',
        ]
        assert len(exposed('keras_service_predictions_total{label="class ')) == 6
        await versions.retire()
        assert not [line for line in exposition().decode().splitlines() if "of-many" in line]

    asyncio.run(scenario())


def test_a_class_that_both_versions_have_is_counted_on() -> None:
    async def scenario() -> None:
        versions = versions_of([lambda: FakeEngine("1")], keep=0, grace_s=0.01)
        old = versions.current
        await old.submit([OWL], old.deadline())
        counted = exposed('keras_service_predictions_total{label="owl",model="fake"}')
        await versions.switch_to("1")
        await asyncio.gather(*versions._retiring)
        assert exposed('keras_service_predictions_total{label="owl",model="fake"}') == counted
        await versions.close(1)

    asyncio.run(scenario())
