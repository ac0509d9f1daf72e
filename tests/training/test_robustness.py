"""Images like people's own, made from thumbnails, and the program that judges a model file by them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.card import ImageInput
from models.preprocessing import open_image, prepare
from tests.processes import run_to_end
from tests.samples import ANKLE_BOOT, SAMPLE_FILES, pixels_of
from training.robustness import KINDS

PRODUCT = ImageInput(height=28, width=28, channels=1, scale=1 / 255, preparation="product-photo")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_image_that_the_service_reads_and_makes_into_the_thumbnail_it_came_from(kind: str) -> None:
    alike = []
    for number, file in enumerate(SAMPLE_FILES[::20]):
        content = KINDS[kind](pixels_of(file), np.random.default_rng([0, number]))
        seen = prepare(open_image(content, 25_000_000), PRODUCT)
        alike.append(np.corrcoef(seen.ravel(), pixels_of(file).ravel())[0, 1])
    assert np.median(alike) > 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_image(kind: str) -> None:
    first, second = (KINDS[kind](pixels_of(ANKLE_BOOT), np.random.default_rng(1)) for _ in range(2))
    assert first == second


def test_the_kinds_are_what_they_are_called() -> None:
    images = {
        kind: Image.open(io.BytesIO(make(pixels_of(ANKLE_BOOT), np.random.default_rng(3))))
        for kind, make in KINDS.items()
    }
    assert np.array_equal(images["clean"], pixels_of(ANKLE_BOOT))
    assert np.array_equal(images["negated"], 255 - pixels_of(ANKLE_BOOT))
    assert images["transparent PNG"].mode == "RGBA"
    assert images["WebP"].format == "WEBP"
    assert images["EXIF orientation"].getexif()[0x0112] in {3, 6, 8}
    corners = {kind: np.asarray(image.convert("L"))[0, 0] for kind, image in images.items()}
    assert corners["on white"] > 250
    assert corners["on dark"] < 60
    assert 140 < corners["on grey"] < 250


@pytest.mark.parametrize(
    ("options", "status", "part"),
    [
        (["--images", 0], 2, "--images: "),
        (["--model", "nowhere.h5"], 1, "there is no model file at nowhere.h5"),
    ],
)
def test_what_cannot_be_judged_is_told_in_one_line(options: list[object], status: int, part: str) -> None:
    finished = run_to_end("training.evaluate", *options)
    assert finished.returncode == status
    assert part in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_model_file_without_a_card_is_told(bare_model_file: Path) -> None:
    finished = run_to_end("training.evaluate", "--model", bare_model_file)
    assert finished.returncode == 1
    assert "has no card" in finished.stderr
