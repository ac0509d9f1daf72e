"""Several models by name: which answers, which are loaded later, and what a broken one does to the others: nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.card import ModelFileError
from models.file_version import file_version
from service.engines.base import Engine
from service.errors import MalformedRequest, NotFound, Overloaded
from service.inference.batcher import BatchLimits
from service.inference.desired_state import DesiredState
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions
from service.inference.numbered_versions import LoadedModel
from service.inference.repository import MOST_ASKING, ModelRepository
from service.inference.workers import Workers
from service.model_files.source import hold
from tests.fakes import FakeEngine, Hold, image_for
from tests.reloads import put

OWL = image_for("owl")[..., np.newaxis]


class Read(FakeEngine):
    """Named as its file, and of that file's version."""

    def __init__(self, path: Path) -> None:
        super().__init__(file_version(path))
        self.text = path.read_text()
        self.card = self.card.model_copy(update={"name": path.stem})
        self.source = hold(path, 1 << 20)
        if self.text == "broken":
            raise ModelFileError(f"{path.name} is broken")


def start(engine: Engine, number: int | None) -> ModelRunner:
    return ModelRunner(engine, BatchLimits(8, 16), 30, number)


def repository_of(folder: Path, *names: str, grace_s: float = 60, desired: Path | None = None) -> ModelRepository:
    """Of a file for each name. Several that share `desired` are those of several workers, and know of each other."""
    for name in names:
        path = folder / f"{name}.h5"
        path.exists() or path.write_text(f"{name} 1")
    first = [LoadedModel(folder / f"{name}.h5", Read(folder / f"{name}.h5")) for name in names]
    state = desired or folder / "state"
    state.mkdir(exist_ok=True)
    workers = Workers(state) if desired else None
    return ModelRepository(first, start, Read, folder, 1, grace_s, DesiredState(state), workers=workers)


def text(model: ModelVersions) -> str:
    """What stood in the file that answers."""
    assert isinstance(model.current.engine, Read)
    return model.current.engine.text


def test_models_are_found_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        assert repository.named(None) is repository.named("hats") is repository.default
        assert text(repository.named("shoes")) == "shoes 1"
        with pytest.raises(NotFound, match="there is no model 'bags'; there are 'hats', 'shoes'"):
            repository.named("bags")
        await repository.close(1)
        assert not any(model.current.ready for model in repository.models)

    asyncio.run(scenario())


def test_what_comes_into_the_folder_can_be_loaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats")
        (tmp_path / "bags.h5").write_text("bags 1")
        runner, again = await asyncio.gather(repository.load("bags"), repository.load("bags"))
        assert runner is again is repository.named("bags").current
        for elsewhere in ("nothing", "../hats", "bags.h5", ""):
            with pytest.raises(NotFound):
                await repository.load(elsewhere)
        await repository.close(1)

    asyncio.run(scenario())


def test_few_changes_wait_for_each_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats")
        asked = [repository.load("hats") for _ in range(MOST_ASKING + 5)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in results] == [ModelRunner] * MOST_ASKING + [Overloaded] * 5
        assert await repository.load("hats")
        await repository.close(1)

    asyncio.run(scenario())


def test_an_unloaded_one_answers_what_it_has_and_stays_away_until_it_is_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        shoes = repository.named("shoes").current
        asked = shoes.submit([OWL], shoes.deadline())
        await repository.unload("shoes")
        with pytest.raises(NotFound):
            await repository.unload("shoes")
        with pytest.raises(MalformedRequest, match="hats stays loaded: it is the default"):
            await repository.unload("hats")
        assert len(await asked) == 1
        put(b"shoes 2", tmp_path / "shoes.h5")
        assert await repository.reconcile() == {}
        assert [model.current.card.name for model in repository.models] == ["hats"]
        assert repository.unloaded == ["shoes"]
        await repository.load("shoes")
        assert text(repository.named("shoes")) == "shoes 2"
        assert repository.unloaded == []
        await repository.close(1)

    asyncio.run(scenario())


def test_what_was_unloaded_is_closed_after_its_grace(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes", grace_s=0)
        shoes = repository.named("shoes").current
        await repository.unload("shoes")
        await shoes.closed
        await repository.close(1)

    asyncio.run(scenario())


def test_all_files_are_followed_and_a_broken_one_harms_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> str:
        repository = repository_of(tmp_path, "bags", "hats", "shoes")
        put(b"broken", tmp_path / "bags.h5")
        put(b"hats 2", tmp_path / "hats.h5")
        (tmp_path / "socks.h5").write_text("broken")
        (tmp_path / "ties.h5").write_text("ties 1")
        assert (await repository.reconcile()).keys() == {"bags", "socks"}
        assert [text(model) for model in repository.models] == ["bags 1", "hats 2", "shoes 1", "ties 1"]
        await repository.close(1)
        return repository.default.current.version

    version = asyncio.run(scenario())
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"the new model is refused, {version} goes on answering: bags.h5 is broken",
        "the new model is refused, the others go on: socks.h5 is broken",
    ]


def test_a_rollback_holds_until_another_file_comes_or_a_load_is_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats")
        hats = repository.named("hats")
        first = hats.current.version
        with pytest.raises(NotFound, match="version 'elsewhere' is not here"):
            await repository.roll_back("hats", "elsewhere")
        put(b"hats 2", tmp_path / "hats.h5")
        await repository.reconcile()
        assert (await repository.roll_back("hats", first)).version == first
        await repository.reconcile()
        assert text(hats) == "hats 1"
        await repository.load("hats")
        assert text(hats) == "hats 2"
        await repository.roll_back("hats", first)
        put(b"hats 3", tmp_path / "hats.h5")
        await repository.reconcile()
        assert text(hats) == "hats 3"
        await repository.close(1)

    asyncio.run(scenario())


def test_what_one_worker_is_asked_every_worker_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.repository.FOLLOW_EVERY_S", 0)
    state = tmp_path / "state"

    async def until(reached: Callable[[], bool]) -> None:
        while not reached():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)

    async def scenario() -> None:
        asked, other = (repository_of(tmp_path, "hats", "shoes", desired=state) for _ in range(2))
        following = asyncio.create_task(other.follow(watch=False))
        put(b"hats 2", tmp_path / "hats.h5")
        put(b"shoes 2", tmp_path / "shoes.h5")
        first = asked.default.current.version
        await asked.load("hats")
        await until(lambda: text(other.default) == "hats 2")
        assert text(other.named("shoes")) == "shoes 1"  # nobody asked for that
        await asked.roll_back("hats", first)
        await until(lambda: other.default.current.version == first)
        await asked.unload("shoes")
        await until(lambda: len(other.models) == 1)
        await asked.load("shoes")
        await until(lambda: len(other.models) == 2)
        assert text(other.named("shoes")) == "shoes 2"
        following.cancel()
        await asyncio.gather(asked.close(1), other.close(1))

    asyncio.run(scenario())


def test_what_is_asked_while_a_worker_starts_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.repository.FOLLOW_EVERY_S", 0)

    async def scenario() -> None:
        asked = repository_of(tmp_path, "hats")
        engine = Read(tmp_path / "hats.h5")  # a worker that starts has loaded this when
        put(b"hats 2", tmp_path / "hats.h5")
        await asked.load("hats")
        files = [LoadedModel(tmp_path / "hats.h5", engine)]
        starting = ModelRepository(files, start, Read, tmp_path, 1, 60, DesiredState(tmp_path / "state"))
        following = asyncio.create_task(starting.follow(watch=False))
        while text(starting.default) != "hats 2":  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        following.cancel()
        await asyncio.gather(asked.close(1), starting.close(1))

    asyncio.run(scenario())


def test_watched_files_are_loaded_once_they_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.watching.WATCH_EVERY_S", 0)

    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        watching = asyncio.create_task(repository.follow(watch=True))
        await asyncio.sleep(0)
        put(b"broken", tmp_path / "hats.h5")
        put(b"shoes 22", tmp_path / "shoes.h5")
        while text(repository.named("shoes")) != "shoes 22":  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        put(b"hats 333", tmp_path / "hats.h5")
        (tmp_path / "ties.h5").write_text("ties 1")
        while text(repository.default) != "hats 333" or len(repository.models) < 3:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        (tmp_path / "hats.h5").unlink()
        for _ in range(50):
            await asyncio.sleep(0)
        assert not watching.done()
        watching.cancel()
        await repository.close(1)

    asyncio.run(scenario())


def test_an_inference_thread_that_is_long_at_one_call_is_seen(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        assert repository.busy_s == 0
        runner = repository.named("shoes").current
        hold = Hold(runner.engine)
        asked = runner.submit([OWL], runner.deadline())
        await asyncio.to_thread(hold.begun.wait)
        assert repository.busy_s > 0
        hold.go_on.set()
        await asked
        await repository.close(1)

    asyncio.run(scenario())


def test_names_that_nobody_gave_a_model_leave_nothing_behind(tmp_path: Path) -> None:
    """Neither in memory nor in the folder that the workers share, however many are tried."""

    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats")
        for number in range(1000):
            for call in (repository.load, repository.unload):
                with pytest.raises(NotFound):
                    await call(f"../{number}")
            with pytest.raises(NotFound):
                await repository.roll_back(f"x{number}", "0")
            with pytest.raises(NotFound):
                await repository.roll_back("hats", f"{number}")
        assert list((tmp_path / "state").iterdir()) == []
        assert (repository.unloaded, len(repository.models), repository._followed) == ([], 1, {})
        await repository.close(1)

    asyncio.run(scenario())
