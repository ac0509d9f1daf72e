"""How the parts that nobody gave are drawn: of each class alike, at least one, the same for the same seed."""

import numpy as np
import pytest

from training.errors import DataError
from training.splitting import drawn_parts, shuffled_members

NAMES = ("cat", "dog", "cow")
TRAINING, VALIDATION, TEST = range(3)
BOTH = {"validation": 0.2, "test": 0.1}


def labels_of(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def draw(labels: np.ndarray, shares: dict, parts: np.ndarray | None = None, groups=None, seed: int = 1) -> np.ndarray:
    parts = np.zeros_like(labels) if parts is None else parts
    groups = np.arange(len(labels)) if groups is None else groups
    return drawn_parts(labels, parts, groups, NAMES, shares, seed)


def counts(labels: np.ndarray, parts: np.ndarray) -> list[list[int]]:
    """How many images of each class are in training, validation and test."""
    return [np.bincount(parts[labels == label], minlength=3).tolist() for label in range(len(NAMES))]


def test_each_class_gives_the_same_shares_and_one_at_least() -> None:
    labels = labels_of(100, 30, 3)
    assert counts(labels, draw(labels, BOTH)) == [[70, 20, 10], [21, 6, 3], [1, 1, 1]]


def test_the_same_seed_draws_the_same_and_another_others() -> None:
    labels = labels_of(50, 50, 50)
    assert np.array_equal(draw(labels, BOTH), draw(labels, BOTH))
    assert not np.array_equal(draw(labels, BOTH), draw(labels, BOTH, seed=2))


def test_parts_that_are_given_are_kept() -> None:
    labels = np.concatenate([labels_of(10, 10, 10), labels_of(2, 3, 4)])
    given = np.repeat([TRAINING, TEST], [30, 9])
    parts = draw(labels, {"validation": 0.2}, given)
    assert (parts[30:] == TEST).all()
    assert counts(labels, parts) == [[8, 2, 2], [8, 2, 3], [8, 2, 4]]
    labels, given = np.tile(labels_of(2, 2, 2), 3), np.repeat([TRAINING, VALIDATION, TEST], 6)
    assert np.array_equal(draw(labels, {}, given), given)


def test_a_class_of_too_few_is_named_with_what_it_needs() -> None:
    with pytest.raises(
        DataError, match=r"class dog has 2 images for training and needs at least 3, one for training and"
    ):
        draw(labels_of(9, 2, 9), BOTH)
    with pytest.raises(DataError, match=r"of the 5 images of the class cow 4 are held out .* and 1 .*leaves none"):
        draw(labels_of(9, 9, 5), {"validation": 0.8, "test": 0.1})


def test_a_class_that_a_part_lacks_is_named() -> None:
    labels = np.concatenate([labels_of(5, 5, 5), labels_of(5, 0, 5)])
    with pytest.raises(DataError, match="there is no image for the test of the class dog; each part needs"):
        draw(labels, {"validation": 0.2}, np.repeat([TRAINING, TEST], [15, 10]))
    with pytest.raises(DataError, match="there is no image for training of the classes cat, cow; each part needs"):
        draw(labels_of(0, 5, 0), BOTH)


def test_images_that_are_alike_come_into_one_part() -> None:
    labels = labels_of(60, 60, 60)
    groups = np.arange(180) // 3
    parts = draw(labels, BOTH, groups=groups)
    assert all(len(set(parts[groups == group])) == 1 for group in range(60))
    assert counts(labels, parts) == [[42, 12, 6]] * 3


def test_alike_images_that_are_more_than_a_share_stay_in_training() -> None:
    labels = labels_of(20, 20, 20)
    groups = np.arange(60)
    groups[:10] = 0
    parts = draw(labels, BOTH, groups=groups)
    assert (parts[:10] == TRAINING).all()
    assert counts(labels, parts)[0] == [14, 4, 2]


def test_where_all_groups_are_too_large_the_smallest_is_taken() -> None:
    labels = labels_of(12, 20, 20)
    groups = np.arange(52)
    groups[:12] = np.repeat([0, 1, 2], [5, 3, 4])
    parts = draw(labels, BOTH, groups=groups)
    assert counts(labels, parts)[0] == [5, 3, 4]


def test_copies_of_too_few_images_are_told_as_that() -> None:
    groups = np.arange(60)
    groups[:20] = groups[:20] % 2
    with pytest.raises(DataError, match="class cat has 20 images, 2 of them different, and needs at least 3"):
        draw(labels_of(20, 20, 20), BOTH, groups=groups)


def test_the_members_of_the_parts_are_shuffled() -> None:
    parts = np.repeat([TRAINING, VALIDATION, TEST], [50, 30, 20])
    training, validation, test = shuffled_members(parts, seed=1)
    assert sorted(training) == list(range(50))
    assert sorted(validation) == list(range(50, 80))
    assert sorted(test) == list(range(80, 100))
    assert list(training) != sorted(training)
    assert np.array_equal(training, shuffled_members(parts, seed=1)[0])
