"""A version folder that changes: what answers, what stays loaded beside it, what is dropped, what is refused."""

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from models.card import ModelFileError
from models.file_version import file_version
from service.engines.base import Engine
from service.errors import NotFound
from service.inference.batcher import BatchLimits
from service.inference.desired_state import DesiredState
from service.inference.model_runner import ModelRunner
from service.inference.numbered_versions import load_newest
from service.inference.repository import ModelRepository
from service.metrics import exposition
from tests.fakes import FakeEngine
from tests.reloads import put


def load(path: Path) -> Engine:
    if path.read_text() == "broken":
        raise ModelFileError(f"{path} is broken")
    engine = FakeEngine(file_version(path))
    engine.card = engine.card.model_copy(update={"name": "hats"})
    return engine


def start(engine: Engine, number: int | None) -> ModelRunner:
    return ModelRunner(engine, BatchLimits(8, 16), 30, number)


def write(folder: Path, number: int, text: str) -> None:
    (folder / str(number)).mkdir(parents=True, exist_ok=True)
    put(text.encode(), folder / str(number) / "model.keras")


def loaded(repository: ModelRepository) -> list[int | None]:
    """The numbers in memory; the one that answers first."""
    return [runner.number for runner in repository.default.loaded]


def with_versions(
    folder: Path, scenario: Callable[[ModelRepository, Path], Awaitable[None]], texts: dict[int, str], keep: int = 1
) -> None:
    place = folder / "hats"
    for number, text in texts.items():
        write(place, number, text)
    (folder / "state").mkdir()

    async def run() -> None:
        first = [load_newest(place, load)]
        repository = ModelRepository(first, start, load, None, keep, 0, DesiredState(folder / "state"))
        await repository.load_kept_versions()
        await scenario(repository, place)
        await repository.close(1)

    asyncio.run(run())


def test_the_newest_answers_and_as_many_lower_ones_stay_loaded_as_are_kept(tmp_path: Path) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        assert loaded(repository) == [3, 2]
        assert repository.default.version("2").number == 2
        with pytest.raises(NotFound, match="version '1' is not here; there are 3, 2"):
            repository.default.version("1")
        # Of this process, in which other tests had models of that name, whose versions are no numbers.
        series = re.findall(r'model_info\{device="nowhere",name="hats",version="(\d)"\} (\S+)', exposition().decode())
        assert series == [("2", "0.0"), ("3", "1.0")]

    with_versions(tmp_path, scenario, {1: "a", 2: "b", 3: "b"})  # the same file twice is two versions all the same


def test_a_new_number_answers_and_the_lowest_is_dropped(tmp_path: Path) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        first, second = repository.default.previous[0], repository.default.current
        write(place, 3, "c")
        assert await repository.reconcile() == {}
        assert loaded(repository) == [3, 2]
        assert repository.default.previous[0] is second
        await first.closed

    with_versions(tmp_path, scenario, {1: "a", 2: "b"})


def test_a_removed_version_is_unloaded_and_the_next_lower_ones_take_its_place(tmp_path: Path) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        third = repository.default.current
        shutil.rmtree(place / "3")
        await repository.reconcile()
        assert loaded(repository) == [2, 1]
        await third.closed
        shutil.rmtree(place)
        await repository.reconcile()
        assert loaded(repository) == [2, 1]  # with nothing at all to answer by, what answers goes on

    with_versions(tmp_path, scenario, {1: "a", 2: "b", 3: "c"})


def test_a_broken_version_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        write(place, 3, "broken")
        assert (await repository.reconcile()).keys() == {"hats"}
        assert loaded(repository) == [2, 1]
        with pytest.raises(ModelFileError, match="broken"):
            await repository.load("hats")
        write(place, 3, "c")
        assert await repository.reconcile() == {}
        assert loaded(repository) == [3, 2]
        write(place, 3, "broken")  # the same number, written over: what was loaded of it goes on
        assert (await repository.reconcile()).keys() == {"hats"}
        assert loaded(repository) == [3, 2]
        before = repository.default.current
        write(place, 3, "d")
        await repository.reconcile()
        assert loaded(repository) == [3, 2]
        assert repository.default.current is not before

    with_versions(tmp_path, scenario, {1: "a", 2: "b"})


def test_at_the_start_a_broken_newest_version_leaves_it_to_the_next_lower_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        assert loaded(repository) == [2, 1]

    with_versions(tmp_path, scenario, {1: "a", 2: "b", 3: "broken"})
    assert "version 3 is refused, a lower one is tried: " in caplog.text


def test_a_saved_model_is_told_and_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        (place / "4").mkdir()
        (place / "4" / "saved_model.pb").touch()
        await repository.reconcile()
        assert loaded(repository) == [2, 1]

    with_versions(tmp_path, scenario, {1: "a", 2: "b"})
    assert "it is TensorFlow's SavedModel" in caplog.text
    assert "; 2 goes on answering" in caplog.text


def test_a_rollback_holds_until_a_newer_number_comes_or_a_load_is_asked_for(tmp_path: Path) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        assert (await repository.roll_back("hats", "1")).number == 1
        await repository.reconcile()
        assert loaded(repository) == [1, 2]
        await repository.load("hats")
        assert loaded(repository) == [2, 1]
        await repository.roll_back("hats", "1")
        write(place, 3, "c")
        await repository.reconcile()
        assert loaded(repository) == [3, 2]

    with_versions(tmp_path, scenario, {1: "a", 2: "b"})


def test_none_stays_loaded_where_none_is_kept(tmp_path: Path) -> None:
    async def scenario(repository: ModelRepository, place: Path) -> None:
        assert loaded(repository) == [2]
        write(place, 3, "c")
        await repository.reconcile()
        assert loaded(repository) == [3]

    with_versions(tmp_path, scenario, {1: "a", 2: "b"}, keep=0)


def test_a_watched_version_is_loaded_once_its_file_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.watching.WATCH_EVERY_S", 0)

    async def scenario(repository: ModelRepository, place: Path) -> None:
        watching = asyncio.create_task(repository.follow(watch=True))
        (place / "3").mkdir()
        (place / "3" / ".model.keras.part").write_text("broken")
        for _ in range(50):
            await asyncio.sleep(0)
        assert loaded(repository) == [2, 1]
        (place / "3" / ".model.keras.part").write_text("c")
        (place / "3" / ".model.keras.part").rename(place / "3" / "model.keras")
        while loaded(repository) != [3, 2]:
            assert not watching.done(), watching.exception()
            await asyncio.sleep(0)
        shutil.rmtree(place / "3")
        while loaded(repository) != [2, 1]:
            assert not watching.done(), watching.exception()
            await asyncio.sleep(0)
        watching.cancel()

    with_versions(tmp_path, scenario, {1: "a", 2: "b"})
