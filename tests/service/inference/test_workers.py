"""Several workers of one service: what one is asked is done once all have done it, and lasts when others start."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.card import ModelFileError
from service.errors import DeadlineExceeded, NotFound, NotSupported, StorageFailed, Unavailable
from service.inference.repository import ModelRepository
from service.inference.workers import Followed, Workers
from tests.reloads import put
from tests.service.inference.test_repository import Read, repository_of, text


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.repository.FOLLOW_EVERY_S", 0.001)
    monkeypatch.setattr("service.inference.workers._LOOK_EVERY_S", 0.001)


@contextmanager
def following(*repositories: ModelRepository) -> Iterator[None]:
    tasks = [asyncio.create_task(repository.follow(watch=False)) for repository in repositories]
    yield
    for task in tasks:
        task.cancel()


async def close(*repositories: ModelRepository) -> None:
    await asyncio.gather(*(repository.close(1) for repository in repositories))


def test_a_call_returns_once_every_worker_has_done_it(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        asked, *others = (repository_of(tmp_path, "hats", "shoes", desired=state) for _ in range(3))
        first = asked.default.current.version
        with following(*others):
            put(b"hats 2", tmp_path / "hats.h5")
            await asked.load("hats")
            assert [text(each.default) for each in others] == ["hats 2", "hats 2"]
            await asked.roll_back("hats", first)
            assert [text(each.default) for each in others] == ["hats 1", "hats 1"]
            await asked.unload("shoes")
            assert [len(each.models) for each in others] == [1, 1]
        await close(asked, *others)

    asyncio.run(scenario())


def test_nobody_waits_for_a_worker_that_was_killed(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        asked = repository_of(tmp_path, "hats", desired=state)
        killed = Workers(state)
        killed.tell({"hats": Followed(asked_ns=0, answers="1")})
        killed._lock.close()  # which is what the system does
        await asked.load("hats")
        await close(asked)

    asyncio.run(scenario())
    assert not list(state.glob("worker-*"))  # the files of the one that was killed are removed, too


def test_a_worker_that_is_not_done_in_time_is_told(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inference.workers.ALL_FOLLOW_WITHIN_S", 0.01)

    async def scenario() -> None:
        asked, stuck = (repository_of(tmp_path, "hats", desired=state) for _ in range(2))
        with pytest.raises(DeadlineExceeded, match="1 of 2 workers have done it"):
            await asked.load("hats")
        await close(asked, stuck)

    asyncio.run(scenario())


@pytest.mark.parametrize("which", ["the one that is asked", "another one"])
def test_where_only_some_can_it_is_told_how_many(tmp_path: Path, state: Path, which: str) -> None:
    async def scenario() -> None:
        asked, other = (repository_of(tmp_path, "hats", desired=state) for _ in range(2))
        cannot = asked if which == "the one that is asked" else other

        def load(_: Path) -> Read:
            raise ModelFileError("it has no memory left")

        cannot.default._load = load
        put(b"hats 2", tmp_path / "hats.h5")
        with following(other), pytest.raises(Unavailable, match=r"1 of 2 workers could not do it.*no memory left"):
            await asked.load("hats")
        await close(asked, other)

    asyncio.run(scenario())


def test_a_file_that_no_worker_can_load_leaves_all_as_they_are(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        asked, other = (repository_of(tmp_path, "hats", desired=state) for _ in range(2))
        put(b"broken", tmp_path / "hats.h5")
        with following(other), pytest.raises(ModelFileError, match=r"hats\.h5 is broken"):
            await asked.load("hats")
        assert text(asked.default) == text(other.default) == "hats 1"
        await close(asked, other)

    asyncio.run(scenario())


def test_a_worker_that_starts_later_has_the_version_that_was_rolled_back_to(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        asked = repository_of(tmp_path, "hats", desired=state)
        first = asked.default.current.version
        for number in (2, 3):
            put(b"hats %d" % number, tmp_path / "hats.h5")
            await asked.load("hats")
        second = asked.default.previous[0].version
        with pytest.raises(NotFound, match=f"{first}.* is not here"):
            await asked.roll_back("hats", first)  # not kept any longer
        await asked.roll_back("hats", second)
        later = repository_of(tmp_path, "hats", desired=state)
        assert text(later.default) == "hats 3"  # as the file is
        await later.join()
        assert text(later.default) == "hats 2"
        assert [runner.version for runner in later.default.previous] == [asked.default.previous[0].version]
        assert later.default.current.card.name == "hats"

        put(b"hats 4", tmp_path / "hats.h5")
        with following(later):
            await asked.load("hats")
        assert text(later.default) == text(asked.default) == "hats 4"
        await close(asked, later)

    asyncio.run(scenario())


def test_a_worker_that_starts_later_can_roll_back_too(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        running = repository_of(tmp_path, "hats", desired=state)
        first = running.default.current.version
        put(b"hats 2", tmp_path / "hats.h5")
        await running.load("hats")
        later = repository_of(tmp_path, "hats", desired=state)
        await later.join()
        assert text(later.default) == "hats 2"
        with following(running):
            await later.roll_back("hats", first)
        assert text(later.default) == text(running.default) == "hats 1"
        await close(running, later)

    asyncio.run(scenario())


def test_as_many_files_are_kept_as_versions_and_no_more(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        asked = repository_of(tmp_path, "hats", desired=state)
        for number in (2, 3, 4):
            put(b"hats %d" % number, tmp_path / "hats.h5")
            await asked.load("hats")
            await asked.roll_back("hats", asked.default.previous[0].version)
            await asked.load("hats")
        await close(asked)

    asyncio.run(scenario())
    assert [file.read_text() for file in state.glob("kept/**/hats.h5")] == ["hats 3"]


def test_what_cannot_be_kept_is_not_rolled_back_to(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        asked = repository_of(tmp_path, "hats", desired=state)
        first = asked.default.current.version
        (tmp_path / "hats.h5").write_text("hats 2")  # into the same file
        await asked.load("hats")
        with pytest.raises(NotSupported, match="its file was written over"):
            await asked.roll_back("hats", first)
        (state / "kept").rename(state / "elsewhere")
        (state / "kept").write_text("in the way")
        put(b"hats 3", tmp_path / "hats.h5")
        await asked.load("hats")
        second = asked.default.previous[0].version
        with pytest.raises(StorageFailed):
            await asked.roll_back("hats", second)
        assert text(asked.default) == "hats 3"
        await close(asked)

    asyncio.run(scenario())


def test_a_worker_does_not_start_without_the_version_that_the_others_were_rolled_back_to(
    tmp_path: Path, state: Path
) -> None:
    async def scenario() -> None:
        asked = repository_of(tmp_path, "hats", desired=state)
        first = asked.default.current.version
        put(b"hats 2", tmp_path / "hats.h5")
        await asked.load("hats")
        await asked.roll_back("hats", first)
        shutil.rmtree(state / "kept")
        later = repository_of(tmp_path, "hats", desired=state)
        with pytest.raises(ModelFileError, match=f"hats was rolled back to {first}, which this worker does not have"):
            await later.join()
        await close(asked, later)

    asyncio.run(scenario())


def test_where_a_worker_starts_with_a_newer_file_all_follow_it(tmp_path: Path, state: Path) -> None:
    async def scenario() -> None:
        running = repository_of(tmp_path, "hats", desired=state)
        await running.join()
        put(b"hats 2", tmp_path / "hats.h5")  # and nobody says so
        later = repository_of(tmp_path, "hats", desired=state)
        await later.join()
        with following(running, later):
            while text(running.default) != "hats 2":  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)
        await close(running, later)

    asyncio.run(scenario())
