"""Several models by name: which answers, which are loaded later, and what a broken one does to the others: nothing."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from models.card import ModelFileError
from service.errors import MalformedRequest, NotFound
from service.inference.batcher import BatchLimits
from service.inference.model_runner import Engine, ModelRunner
from service.inference.repository import ModelRepository, model_files
from tests.fakes import FakeEngine, image_for
from tests.reloads import put

OWL = image_for("owl")[..., np.newaxis]


class Read(FakeEngine):
    """Named as its file, and of the version that stands in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.version = path.read_text()
        self.card = self.card.model_copy(update={"name": path.stem})
        if self.version == "broken":
            raise ModelFileError(f"{path.name} is broken")


def start(classifier: Engine) -> ModelRunner:
    return ModelRunner(classifier, BatchLimits(8, 16), 30)


def repository_of(folder: Path, *names: str, grace_s: float = 60) -> ModelRepository:
    for name in names:
        (folder / f"{name}.h5").write_text(f"{name} 1")
    first = [(folder / f"{name}.h5", Read(folder / f"{name}.h5")) for name in names]
    return ModelRepository(first, start, Read, folder, 1, grace_s)


def test_each_h5_is_a_model_and_one_of_them_the_default(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        (tmp_path / f"{name}.h5").touch()
    (tmp_path / "notes.txt").touch()
    assert [file.stem for file in model_files(tmp_path, None)] == ["a", "b", "c"]
    assert [file.stem for file in model_files(tmp_path, "c")] == ["c", "a", "b"]
    assert model_files(tmp_path / "a.h5", None) == [tmp_path / "a.h5"]
    with pytest.raises(ModelFileError, match=r"no d.h5, which --default-model names; there are a, b, c"):
        model_files(tmp_path, "d")


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"has no \.h5 file; put a model there"):
        model_files(tmp_path, None)


def test_models_are_found_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        assert repository.named(None) is repository.named("hats") is repository.default
        assert repository.named("shoes").live.version == "shoes 1"
        with pytest.raises(NotFound, match="there is no model 'bags'; there are 'hats', 'shoes'"):
            repository.named("bags")
        await repository.close(1)
        assert not any(model.live.ready for model in repository.models)

    asyncio.run(scenario())


def test_what_comes_into_the_folder_can_be_loaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats")
        (tmp_path / "bags.h5").write_text("bags 1")
        live, again = await asyncio.gather(repository.load("bags"), repository.load("bags"))
        assert live.version == again.version == repository.named("bags").live.version == "bags 1"
        for elsewhere in ("nothing", "../hats", "bags.h5", ""):
            with pytest.raises(NotFound):
                await repository.load(elsewhere)
        await repository.close(1)

    asyncio.run(scenario())


def test_an_unloaded_one_answers_what_it_has_and_stays_away_until_it_is_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        shoes = repository.named("shoes").live
        asked = shoes.predict([OWL], shoes.deadline())
        repository.unload("shoes")
        with pytest.raises(NotFound):
            repository.unload("shoes")
        with pytest.raises(MalformedRequest, match="hats stays loaded: it is the default"):
            repository.unload("hats")
        assert len(await asked) == 1
        put(b"shoes 2", tmp_path / "shoes.h5")
        await repository.load_all()
        assert [model.live.card.name for model in repository.models] == ["hats"]
        assert repository.unloaded == {"shoes"}
        assert (await repository.load("shoes")).version == "shoes 2"
        assert repository.unloaded == set()
        await repository.close(1)

    asyncio.run(scenario())


def test_what_was_unloaded_is_closed_after_its_grace(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes", grace_s=0)
        shoes = repository.named("shoes").live
        repository.unload("shoes")
        while shoes.ready:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        await repository.close(1)

    asyncio.run(scenario())


def test_all_are_loaded_anew_and_a_broken_one_harms_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "bags", "hats", "shoes")
        put(b"broken", tmp_path / "bags.h5")
        put(b"hats 2", tmp_path / "hats.h5")
        (tmp_path / "socks.h5").write_text("broken")
        (tmp_path / "ties.h5").write_text("ties 1")
        await repository.load_all()
        assert [model.live.version for model in repository.models] == ["bags 1", "hats 2", "shoes 1", "ties 1"]
        await repository.close(1)

    asyncio.run(scenario())
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "the new model is refused, bags 1 goes on answering: bags.h5 is broken",
        "the new model is refused, the others go on: socks.h5 is broken",
    ]


def test_watched_files_are_taken_over_once_they_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.repository.WATCH_EVERY_S", 0)

    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        watching = asyncio.create_task(repository.watch())
        await asyncio.sleep(0)
        put(b"broken", tmp_path / "hats.h5")
        put(b"shoes 22", tmp_path / "shoes.h5")
        while repository.named("shoes").live.version != "shoes 22":  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        put(b"hats 333", tmp_path / "hats.h5")
        (tmp_path / "ties.h5").write_text("ties 1")
        while repository.default.live.version != "hats 333" or len(repository.models) < 3:  # noqa: ASYNC110 - nor here
            await asyncio.sleep(0)
        (tmp_path / "hats.h5").unlink()
        for _ in range(50):
            await asyncio.sleep(0)
        assert not watching.done()
        watching.cancel()
        await repository.close(1)

    asyncio.run(scenario())


def test_a_network_that_is_long_at_one_call_is_seen(tmp_path: Path) -> None:
    async def scenario() -> None:
        repository = repository_of(tmp_path, "hats", "shoes")
        assert repository.busy_s == 0
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def look(_: object) -> float:
            loop.call_soon_threadsafe(begun.set)
            while not repository.busy_s:
                pass
            return repository.busy_s

        asked = asyncio.create_task(repository.named("shoes").live.inspect(look))
        await begun.wait()
        assert await asked > 0
        await repository.close(1)

    asyncio.run(scenario())
