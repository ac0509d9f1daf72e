"""One temperature makes the probabilities mean what they say."""

import keras
import numpy as np
import pytest

from training.calibration import divide_logits, expected_calibration_error, fit_temperature


def answers(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from true probabilities, and what a network says whose logits are too large by `temperature`."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (count, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(4, p=row) for row in true], np.uint8)
    said = np.exp(logits * temperature)
    return (said / said.sum(axis=1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.5, 1, 2])
def test_the_temperature_that_was_applied_is_found(temperature: float) -> None:
    assert fit_temperature(*answers(temperature)) == pytest.approx(temperature, rel=0.05)


def test_probabilities_that_are_right_have_no_error_and_sure_ones_that_are_not_have_much() -> None:
    assert expected_calibration_error(*answers(1)) < 0.02
    assert expected_calibration_error(*answers(3)) > 0.1
    sure = np.tile(np.float32([1, 0]), (10, 1))
    assert expected_calibration_error(sure, np.array([0] * 6 + [1] * 4, np.uint8)) == pytest.approx(0.4)


def test_dividing_the_logits_flattens_the_probabilities_and_keeps_the_answer() -> None:
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="softmax")])
    values = np.random.default_rng(0).normal(0, 3, (50, 3)).astype(np.float32)
    before = network.predict(values, verbose=0)
    divide_logits(network, 2)
    after = network.predict(values, verbose=0)
    flattened = np.sqrt(before) / np.sqrt(before).sum(axis=1, keepdims=True)
    assert after == pytest.approx(flattened, abs=1e-5)
