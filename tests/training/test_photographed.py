"""Thumbnails become what preparation makes of photographs, and stay of their class's kind and size."""

from collections.abc import Iterator

import numpy as np
import pytest

from models.product_photo import is_thumbnail
from tests.samples import SAMPLE_FILES, label_of, pixels_of
from training.photographed import clothing, photographed

LABELS = [label_of(file) for file in SAMPLE_FILES]
THUMBNAILS = [pixels_of(file) for file in SAMPLE_FILES]
SNEAKER, TROUSER, PULLOVER = 7, 1, 2


def made(label: int) -> Iterator[np.ndarray]:
    """All that becomes of the samples of a class, by eight seeds."""
    for thumbnail in (one for one, its in zip(THUMBNAILS, LABELS, strict=True) if its == label):
        for seed in range(8):
            if (image := photographed(thumbnail, label, np.random.default_rng(seed))) is not None:
                yield image


def extent(image: np.ndarray) -> tuple[int, int]:
    """Width and height of what is not black."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def proportions(image: np.ndarray) -> float:
    width, height = extent(image)
    return width / height


@pytest.mark.parametrize("label", range(10))
def test_it_is_a_product_on_black_that_fills_the_thumbnail(label: int) -> None:
    for image in made(label):
        assert image.shape == (28, 28)
        assert image.dtype == np.uint8
        assert max(extent(image)) >= 25
        assert np.count_nonzero(image == 0) > 28


def test_nearly_all_go_through_preparation_untouched_as_the_data_sets_own_do() -> None:
    images = [image for label in range(10) for image in made(label)]
    assert len(images) > 0.95 * 8 * len(LABELS)
    assert np.mean([is_thumbnail(image) for image in images]) > 0.9


def test_shoes_point_anywhere_and_trousers_stay_upright() -> None:
    assert min(map(proportions, made(SNEAKER))) < 0.8
    assert max(map(proportions, made(TROUSER))) < 1.1


def test_sleeves_are_spread() -> None:
    assert max(map(proportions, made(PULLOVER))) > 1.5


def test_the_same_seed_makes_the_same_image() -> None:
    image = THUMBNAILS[0][..., np.newaxis]
    first, second = (clothing(image, LABELS[0], np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == image.shape
    assert first.dtype == np.float32


def test_nothing_is_made_of_an_empty_thumbnail() -> None:
    assert photographed(np.zeros((28, 28), np.uint8), 0, np.random.default_rng(0)) is None
    assert not clothing(np.zeros((28, 28, 1), np.uint8), 0, np.random.default_rng(1))[14, 14].any()
