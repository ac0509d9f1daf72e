"""Images that show none of the classes, and how well they are told from those that do."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.card import ImageInput
from models.decoding import open_image
from models.preprocessing import prepared_pixels
from tests.processes import run_to_end
from tests.samples import ANKLE_BOOT, encoded, needs_full_set
from training.ood_images import OOD_KINDS, separation
from training.robustness import KINDS

PRODUCT = ImageInput(height=28, width=28, channels=1, scale=1 / 255, preparation="product-photo")


@pytest.mark.parametrize("kind", OOD_KINDS)
def test_every_kind_is_a_image_that_the_service_reads_and_the_same_for_the_same_seed(kind: str) -> None:
    first, again, other = (OOD_KINDS[kind](np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert prepared_pixels(open_image(first, 25_000_000), PRODUCT).shape == (28, 28, 1)
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("known", "strange", "expected"),
    [([2, 3], [0, 1], 1), ([0, 1], [2, 3], 0), ([1, 1], [1, 1], 0.5), ([1, 3], [2, 2, 2, 0], 0.625)],
)
def test_separation_is_the_share_of_pairs_in_which_the_known_one_is_higher(
    known: list[int], strange: list[int], expected: float
) -> None:
    assert separation(np.array(known, float), np.array(strange, float)) == expected


@needs_full_set
def test_a_model_file_is_tried_on_every_kind_and_on_a_folder_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "landscapes"
    folder.mkdir()
    for number in range(3):
        colours = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
        (folder / f"{number}.png").write_bytes(encoded(colours))
    (folder / "notes.txt").write_text("no image")
    output = tmp_path / "figures.json"
    finished = run_to_end("training.evaluate", "--images", 8, "--ood-images", folder, "--output", output)
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(output.read_text())
    assert figures["kinds"].keys() == KINDS.keys()
    assert figures["kinds"]["clean"]["agreement"] == 1
    assert list(figures["ood_images"]) == [*OOD_KINDS, "landscapes"]
    for name, values in {**figures["kinds"], **figures["ood_images"]}.items():
        assert name in finished.stdout
        for value in values.values():
            assert f"{value:.3f}" in finished.stdout
    for values in figures["ood_images"].values():
        assert values["from_thumbnails"] > 0.8


@needs_full_set
def test_a_folder_without_images_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "boot.txt").write_bytes(ANKLE_BOOT.read_bytes()[:10])
    finished = run_to_end("training.evaluate", "--images", 1, "--ood-images", tmp_path)
    assert finished.returncode == 1
    assert f"there is no image in {tmp_path}" in finished.stderr
    assert "Traceback" not in finished.stderr
