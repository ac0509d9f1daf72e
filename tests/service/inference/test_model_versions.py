"""A new model takes over while the old one answers; a broken one changes nothing; earlier ones can be gone back to."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.card import ModelFileError
from service.errors import NotFound, NotReady
from service.inference.batcher import BatchLimits
from service.inference.model_runner import Engine, ModelRunner
from service.inference.model_versions import ModelVersions
from tests.fakes import FakeEngine, image_for

OWL = image_for("owl")[..., np.newaxis]


class Numbered(FakeEngine):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.version = f"{number:012d}"


def models_of(loads: list[Callable[[], Engine]], path: Path, keep: int = 1, grace_s: float = 60) -> ModelVersions:
    def start(classifier: Engine) -> ModelRunner:
        return ModelRunner(classifier, BatchLimits(8, 16), 30)

    path.write_bytes(b"another file than the one that answers")

    def load(_: Path) -> Engine:
        return loads.pop(0)()

    return ModelVersions(Numbered(0), start, load, path, keep, grace_s)


def refused() -> Engine:
    raise ModelFileError("it is broken")


def test_the_new_one_answers_and_the_old_one_what_it_was_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        models = models_of([lambda: Numbered(1)], tmp_path / "model.h5")
        old = models.live
        asked = old.predict([OWL], old.deadline())
        assert await models.reload() is models.live
        assert (models.live.version, [model.version for model in models.earlier]) == (f"{1:012d}", [f"{0:012d}"])
        assert len(await asked) == 1
        # Somebody who had the old one in hand can still ask it.
        assert len(await old.predict([OWL], old.deadline())) == 1
        assert len(await models.live.predict([OWL], old.deadline())) == 1
        await models.close(1)
        assert not old.ready

    asyncio.run(scenario())


def test_a_model_that_is_refused_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        models = models_of([refused, lambda: 1 / 0, lambda: Numbered(1)], tmp_path / "model.h5")
        for part in ("it is broken", "could not be loaded: division by zero"):
            with pytest.raises(ModelFileError, match=part):
                await models.reload()
            assert models.live.version == f"{0:012d}"
            assert models.live.ready
        await models.reload()
        assert models.live.version == f"{1:012d}"
        await models.close(1)

    asyncio.run(scenario())


def test_the_file_that_answers_already_is_not_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        models = models_of([], tmp_path / "model.h5")
        monkeypatch.setattr("service.inference.model_versions.file_version", lambda _: f"{0:012d}")
        assert await models.reload() is models.live
        await models.close(1)

    asyncio.run(scenario())


def test_no_more_earlier_models_are_kept_than_were_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        models = models_of([lambda number=number: Numbered(number) for number in (1, 2, 3)], tmp_path / "m.h5", 2, 0)
        first = models.live
        for _ in range(3):
            await models.reload()
        assert [model.version[-1] for model in models.earlier] == ["2", "1"]
        assert models.version(f"{1:012d}") is models.earlier[1]
        with pytest.raises(NotFound, match="version '000000000000' is not here; there are 000000000003, 000000000002"):
            models.version(f"{0:012d}")
        while models._retiring:
            await asyncio.gather(*models._retiring)
        with pytest.raises(NotReady):
            first.predict([OWL], first.deadline())
        await models.close(1)

    asyncio.run(scenario())


def test_an_earlier_model_can_be_gone_back_to(tmp_path: Path) -> None:
    async def scenario() -> None:
        models = models_of([lambda: Numbered(1)], tmp_path / "model.h5")
        await models.reload()
        await models.roll_back(f"{0:012d}")
        assert models.live.version == f"{0:012d}"
        assert [model.version for model in models.earlier] == [f"{1:012d}"]
        assert len(await models.live.predict([OWL], models.live.deadline())) == 1
        with pytest.raises(NotFound):
            await models.roll_back("elsewhere")
        await models.close(1)

    asyncio.run(scenario())
