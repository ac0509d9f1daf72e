"""Which images count as nearly the same: copies as people and programs make them, and not what merely looks alike."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.samples import SAMPLE_FILES, encoded
from training import near_duplicates
from training.near_duplicates import ALIKE, SIGNATURE_LENGTH, groups_of, most_alike, signature


def scene(seed: int) -> Image.Image:
    """Something as smooth as a photograph is, with patches."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8)).resize((400, 300), Image.Resampling.BICUBIC)
    for _ in range(5):
        left, top = random.integers(0, 300), random.integers(0, 200)
        image.paste(tuple(random.integers(0, 256, 3).tolist()), (left, top, left + 80, top + 60))
    return image


def signatures(*images: Image.Image) -> np.ndarray:
    return np.stack([signature(image) for image in images])


COPIES = {
    "JPEG": lambda image: Image.open(io.BytesIO(encoded(image, "JPEG", quality=30))),
    "WebP": lambda image: Image.open(io.BytesIO(encoded(image, "WEBP", quality=50))),
    "half": lambda image: image.resize((200, 150)),
    "stretched": lambda image: image.resize((224, 224)),
    "faded": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_alike(kind: str) -> None:
    originals = signatures(*map(scene, range(10)))
    nearest, correlations = most_alike(signatures(*(COPIES[kind](scene(seed)) for seed in range(10))), originals)
    assert nearest.tolist() == list(range(10))
    assert correlations.min() >= ALIKE


def test_different_images_of_the_same_things_are_not_alike() -> None:
    thumbnails = signatures(*map(Image.open, SAMPLE_FILES))
    correlations = thumbnails @ thumbnails.T - np.eye(len(thumbnails))
    assert correlations.max() < ALIKE
    scenes = signatures(*map(scene, range(50)))
    assert (scenes @ scenes.T - np.eye(50)).max() < 0.8


def test_what_differs_in_colour_alone_is_not_alike() -> None:
    red, blue = Image.new("RGB", (80, 60), (120, 120, 120)), Image.new("RGB", (80, 60), (120, 120, 120))
    red.paste((210, 40, 30), (20, 20, 60, 50))
    blue.paste((40, 60, 200), (20, 20, 60, 50))
    assert float(signature(red) @ signature(blue)) < 0.8
    assert float(signature(red) @ signature(red.convert("L"))) < ALIKE


def test_images_of_one_shade_are_like_nothing() -> None:
    blank = signatures(Image.new("L", (30, 20), 255), Image.new("RGB", (5, 5), (9, 9, 9)))
    assert blank.shape == (2, SIGNATURE_LENGTH)
    assert not blank.any()
    assert groups_of(blank, np.arange(2)).tolist() == [0, 1]


def test_groups_hold_what_is_alike_or_the_same_file() -> None:
    images = [scene(1), scene(2), COPIES["half"](scene(1)), scene(3), scene(2), COPIES["JPEG"](scene(1))]
    blanks = [Image.new("L", (8, 8))] * 2
    contents = np.array([10, 20, 30, 40, 20, 60, 70, 70])
    assert groups_of(signatures(*images, *blanks), contents).tolist() == [0, 1, 0, 3, 1, 0, 6, 6]


def test_many_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = signatures(*map(scene, [*range(12), *range(0, 12, 2)]))
    at_once = groups_of(images, np.arange(18)), *most_alike(images[12:], images[:12])
    monkeypatch.setattr(near_duplicates, "_MOST_PRODUCTS", 40)
    in_blocks = groups_of(images, np.arange(18)), *most_alike(images[12:], images[:12])
    assert all(map(np.allclose, at_once, in_blocks))
    assert at_once[0].tolist() == [*range(12), *range(0, 12, 2)]
