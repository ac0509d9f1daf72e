"""How a photograph of a product becomes a thumbnail: the product alone, light on black, as large as fits."""

import cv2
import numpy as np
import pytest

from models.product_photo import WHOLE, is_thumbnail, thumbnail
from tests.samples import SAMPLE_FILES, needs_full_set, pixels_of
from training.data import load_fashion_mnist

WHITE = (255, 255, 255)


def photo(background: tuple[int, int, int], product: tuple[int, int, int], noise: float = 0) -> np.ndarray:
    """A 200×100 rectangle, 20 from the left and 30 from the top of an image of 300 by 400."""
    image = np.full((300, 400, 3), background, np.float32)
    image[30:230, 20:120] = product
    image += np.random.default_rng(0).normal(0, noise, image.shape) if noise else 0
    return image.clip(0, 255).astype(np.uint8)


def seen_of(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return thumbnail(image, height, width)[0]


def assert_rectangle(seen: np.ndarray, level: float, tolerance: float = 12) -> None:
    """28 high, 14 wide, in the middle, of one brightness on black."""
    assert seen.shape == (28, 28)
    assert seen.dtype == np.uint8
    assert seen[:, :6].max() <= 2
    assert seen[:, 22:].max() <= 2
    assert np.abs(seen[2:-2, 9:19].astype(int) - level).max() <= tolerance
    assert seen[[0, -1], 9:19].min() > level / 2


@pytest.mark.parametrize(
    ("background", "product", "level"),
    [
        (WHITE, (50, 50, 50), 205),
        (WHITE, (235, 235, 235), 20),  # white on white, but for its shade
        ((230, 240, 250), (100, 60, 40), 186),  # tinted
        ((160, 160, 160), (50, 50, 50), 205),
        ((100, 100, 100), (30, 30, 30), 225),  # dark grey, and the product is darker
        ((20, 20, 20), (180, 180, 180), 180),  # as the data set shows it
        ((100, 100, 100), (200, 200, 200), 200),
    ],
)
def test_the_product_is_cut_out_scaled_and_centred(
    background: tuple[int, int, int], product: tuple[int, int, int], level: int
) -> None:
    assert_rectangle(seen_of(photo(background, product), 28, 28), level)


def test_the_part_of_the_photograph_that_is_seen_is_told() -> None:
    _, frame = thumbnail(photo(WHITE, (50, 50, 50)), 28, 28)
    # The product is 200 high and in the middle: a square of 200 around the columns 20 to 119 and the rows 30 to 229.
    expected = (-30 / 400, 30 / 300, 200 / 400, 200 / 300)
    assert frame == pytest.approx(expected, abs=0.015)
    assert thumbnail(np.full((90, 90, 3), 255, np.uint8), 28, 28)[1] == WHOLE


def test_noise_is_not_taken_for_the_product() -> None:
    assert_rectangle(seen_of(photo((240, 240, 240), (60, 60, 60), noise=8), 28, 28), 192, tolerance=25)


def test_uneven_light_is_evened_out() -> None:
    light = np.linspace(0.82, 1, 400)[None, :, None]
    assert_rectangle(seen_of((photo(WHITE, (80, 80, 80)) * light).astype(np.uint8), 28, 28), 175)


def test_specks_of_dust_do_not_move_the_product() -> None:
    dusty = photo(WHITE, (50, 50, 50))
    dusty[290:292, 390:393] = 0
    assert np.array_equal(seen_of(dusty, 28, 28), seen_of(photo(WHITE, (50, 50, 50)), 28, 28))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (28, 28)])
def test_pictures_of_any_shape_give_a_thumbnail(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    assert seen_of(noise, 28, 28).shape == (28, 28)


def test_a_blank_page_gives_black() -> None:
    assert not seen_of(np.full((200, 100, 3), 250, np.uint8), 28, 28).any()


def test_thumbnails_that_were_enlarged_and_negated_come_back() -> None:
    alike = []
    for file in SAMPLE_FILES[::7]:
        before = pixels_of(file)
        large = cv2.resize(255 - before, (280, 280), interpolation=cv2.INTER_CUBIC)
        bordered = cv2.copyMakeBorder(large, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
        after = seen_of(np.repeat(bordered[..., None], 3, axis=2), 28, 28)
        alike.append(np.corrcoef(before.ravel(), after.ravel())[0, 1])
    assert min(alike) > 0.6
    assert np.mean(alike) > 0.9


@needs_full_set
def test_all_of_the_data_sets_images_are_thumbnails_and_none_of_their_negatives_is() -> None:
    split = load_fashion_mnist(None, 0.2, 42)
    for images in (split.training_pictures, split.validation_pictures, split.test_pictures):
        for image in images[..., 0]:
            assert is_thumbnail(image)
            assert not is_thumbnail(255 - image)


@pytest.mark.parametrize("level", [60, 128, 255])
def test_a_image_on_grey_or_white_is_no_thumbnail(level: int) -> None:
    assert not is_thumbnail(np.full((28, 28), level, np.uint8))
