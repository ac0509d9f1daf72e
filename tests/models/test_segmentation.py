"""A product is told from a floor or a bed behind it."""

import cv2
import numpy as np
import pytest

from models.segmentation import largest_parts, product_mask


def boards(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A floor of wooden boards of several browns, uint8 (height, width, 3)."""
    random = np.random.default_rng(seed)
    floor = np.zeros((height, width, 3), np.float32)
    for left in range(0, width, width // 8):
        floor[:, left : left + width // 8] = np.array([150, 105, 70]) * random.uniform(0.7, 1.2)
    grain = cv2.GaussianBlur(random.standard_normal((height, width)).astype(np.float32), (0, 0), 2) * 60
    return np.clip(floor + grain[..., None], 0, 255).astype(np.uint8)


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union."""
    return float(np.count_nonzero(found & truth) / np.count_nonzero(found | truth))


@pytest.mark.parametrize("colour", [(30, 40, 120), (235, 235, 230), (20, 20, 20)])
def test_a_product_on_a_floor_is_found(colour: tuple[int, int, int]) -> None:
    photo, truth = boards(400, 300), np.zeros((400, 300), np.uint8)
    cv2.fillPoly(truth, [np.array([[90, 80], [210, 80], [230, 320], [70, 320]])], 1)
    photo[truth == 1] = colour
    assert agreement(product_mask(photo), truth == 1) > 0.95


def test_holes_are_filled_and_both_of_a_pair_are_found() -> None:
    photo, truth = boards(300, 400), np.zeros((300, 400), np.uint8)
    for across in (130, 270):
        cv2.ellipse(truth, (across, 150), (50, 110), 0, 0, 360, 1, -1)
    photo[truth == 1] = (25, 25, 60)
    photo[130:150, 120:140] = boards(20, 20)
    found = product_mask(photo)
    assert agreement(found, truth == 1) > 0.9
    assert found[140, 130]


def test_the_same_image_gives_the_same_mask() -> None:
    photo = boards(200, 150)
    photo[50:150, 40:110] = (200, 60, 60)
    assert np.array_equal(product_mask(photo), product_mask(photo))


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (7, 7), (2000, 9)])
def test_an_image_without_room_for_a_border_is_all_product(size: tuple[int, int]) -> None:
    mask = product_mask(np.full((*size, 3), 90, np.uint8))
    assert mask.shape == size
    assert mask.all()


def test_an_image_of_one_colour_is_taken_as_it_comes() -> None:
    assert product_mask(np.full((50, 60, 3), 90, np.uint8)).shape == (50, 60)


def test_only_parts_of_some_size_are_kept() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = mask[15, 15] = True
    assert np.count_nonzero(largest_parts(mask, 0.1)) == 100
    assert not largest_parts(np.zeros((4, 4), bool), 0.1).any()
