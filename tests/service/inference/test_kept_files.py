"""What a worker that starts after a rollback knows of the version that it finds kept, of a real model file."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from models.card import ModelCard
from service.inference.batcher import BatchLimits
from service.inference.kept_files import keep_file, kept_file
from service.inference.model_runner import ModelRunner
from tests.applications import tensorflow_engine


def known_before_and_later(place: Path, folder: Path, meanwhile: Callable[[], object]) -> tuple[ModelCard, ModelCard]:
    """Its card, and that of the file that is kept of it after `meanwhile`."""

    async def scenario() -> tuple[ModelCard, ModelCard]:
        runner = ModelRunner(tensorflow_engine(place), BatchLimits(batch_rows=8, queue_rows=100), timeout_s=60)
        meanwhile()
        keep_file(folder, place, runner)
        await runner.close(1)
        return runner.card, tensorflow_engine(kept_file(folder, place, runner.version)).card

    return asyncio.run(scenario())


def test_a_kept_version_is_known_as_well_and_what_is_assumed_of_it_is_still_marked(
    bare_model_file: Path, tmp_path: Path
) -> None:
    before, later = known_before_and_later(bare_model_file, tmp_path, lambda: None)
    assert later == before
    assert "class_names" in later.assumed


def test_a_kept_version_has_the_labels_of_its_time(bare_model_file: Path, tmp_path: Path) -> None:
    place, labels = tmp_path / "clothes.h5", tmp_path / "labels.txt"
    place.write_bytes(bare_model_file.read_bytes())
    labels.write_text("hat\nshoe\nsock\n")
    before, later = known_before_and_later(place, tmp_path, lambda: labels.write_text("cap\nboot\nglove\n"))
    assert later == before
    assert later.class_names == ("hat", "shoe", "sock")
