"""What is told of an image by the model's last features: how familiar it is."""

import numpy as np
import pytest

from models.card import OodStatistics
from models.ood import OodScorer, fit_ood_statistics

CLASSES, UNITS, IMAGES = 3, 8, 3000
KERNEL = np.random.default_rng(1).normal(0, 1, (UNITS, CLASSES)).astype(np.float32)


def features_of(centres: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features scattered around the centres of their classes, and the classes."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, IMAGES).astype(np.uint8)
    return (centres[labels] + random.normal(0, 0.5, (IMAGES, UNITS))).astype(np.float32), labels


@pytest.fixture(scope="module")
def centres() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (CLASSES, UNITS)).astype(np.float32)


@pytest.fixture(scope="module")
def known(centres: np.ndarray) -> OodStatistics:
    features, labels = features_of(centres, 0)
    return fit_ood_statistics(features, features @ KERNEL, labels)


def test_of_images_of_the_kind_each_share_is_as_often_as_it_says(known: OodStatistics, centres: np.ndarray) -> None:
    features, _ = features_of(centres, 7)
    shares = OodScorer(known)(features, features @ KERNEL)
    for share in (0.1, 0.5, 0.9):
        assert np.mean(shares < share) == pytest.approx(share, abs=0.03)


def test_logits_of_less_energy_are_less_familiar(known: OodStatistics, centres: np.ndarray) -> None:
    logits = centres @ KERNEL
    measure = OodScorer(known)
    for lower in (1, 2, 5):
        assert (measure.values(centres, logits - lower) < measure.values(centres, logits - lower + 1)).all()


def test_features_far_from_every_class_are_not_familiar_however_sure_the_logits(
    known: OodStatistics, centres: np.ndarray
) -> None:
    measure = OodScorer(known)
    logits = centres @ KERNEL
    far = centres + 10
    assert (measure(far, logits) < 0.01).all()
    assert (measure(centres, logits) > 0.3).all()


def test_the_distance_is_counted_in_standard_deviations_of_each_feature_from_the_nearest_centre() -> None:
    known = OodStatistics(
        quantiles=(-10, 0), energy_spread=1, centres=((0, 0), (10, 0)), spreads=(1, 2), distance_mean=0
    )
    measure = OodScorer(known)
    features = np.array([[0, 0], [1, 0], [0, 2], [8, 0], [10, 4]], np.float32)
    logits = np.full((5, 2), -np.log(2), np.float32)  # of energy 0
    assert measure.values(features, logits) == pytest.approx([0, -0.5, -0.5, -2, -2], abs=1e-6)
    assert measure(features, logits) == pytest.approx([1, 0.95, 0.95, 0.8, 0.8], abs=1e-6)


def test_where_the_centres_are_too_many_for_a_card_the_energy_alone_tells() -> None:
    random = np.random.default_rng(0)
    features, logits = random.normal(0, 1, (40, 5000)), random.normal(0, 1, (40, 2))
    known = fit_ood_statistics(
        features.astype(np.float32), logits.astype(np.float32), np.arange(40, dtype=np.uint8) % 2
    )
    assert known.centres == ()
    shares = OodScorer(known)(features, logits)
    assert (shares.argsort() == np.logaddexp.reduce(logits, axis=1).argsort()).all()


def test_one_image_and_features_that_never_vary_are_no_fault() -> None:
    features, logits = np.ones((1, 4), np.float32), np.zeros((1, 2), np.float32)
    known = fit_ood_statistics(features, logits, np.array([1], np.uint8))
    assert np.isfinite(OodScorer(known)(features, logits)).all()
