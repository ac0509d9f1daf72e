"""What a worker that starts after a rollback knows of the version that it finds kept, of a real model file."""

import asyncio
from pathlib import Path

from service.inference.batcher import BatchLimits
from service.inference.kept_files import keep_file, kept_file
from service.inference.model_runner import ModelRunner
from tests.applications import tensorflow_engine


def test_a_kept_version_is_known_as_well_as_it_was_and_what_is_assumed_of_it_is_still_marked(
    bare_model_file: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        runner = ModelRunner(
            tensorflow_engine(bare_model_file), BatchLimits(batch_rows=8, queue_rows=100), timeout_s=60
        )
        keep_file(tmp_path, bare_model_file, runner)
        later = tensorflow_engine(kept_file(tmp_path, bare_model_file, runner.version))
        assert later.card == runner.card
        assert "class_names" in later.card.assumed
        await runner.close(1)

    asyncio.run(scenario())


def test_of_labels_beside_the_file_the_kept_version_has_those_of_its_time(bare_model_file: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        place = tmp_path / "clothes.h5"
        place.write_bytes(bare_model_file.read_bytes())
        labels = place.with_name("labels.txt")
        labels.write_text("hat\nshoe\nsock\n")
        runner = ModelRunner(tensorflow_engine(place), BatchLimits(batch_rows=8, queue_rows=100), timeout_s=60)
        labels.write_text("cap\nboot\nglove\n")
        keep_file(tmp_path, place, runner)
        later = tensorflow_engine(kept_file(tmp_path, place, runner.version))
        assert later.card == runner.card
        assert later.card.class_names == ("hat", "shoe", "sock")
        await runner.close(1)

    asyncio.run(scenario())
