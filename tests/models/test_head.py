"""What the last layer means, and when its values are probabilities already."""

import keras
import numpy as np
import pytest
from keras import layers

from models.head import (
    Activation,
    Conversion,
    Head,
    Loss,
    are_probabilities,
    conversion_of,
    guess_head,
    is_dense_softmax,
)

CROSS_ENTROPY = Loss("sparse_categorical_crossentropy")
BINARY = Loss("binary_crossentropy")


@pytest.mark.parametrize(
    ("layer", "is_one"),
    [
        (layers.Dense(3, activation="softmax"), True),
        (layers.Dense(3, activation=keras.ops.softmax), True),
        (layers.Dense(3), False),
        (layers.Dense(1, activation="sigmoid"), False),
        (layers.Softmax(), False),
        (layers.Activation("softmax"), False),
        (layers.Conv2D(3, 1, activation="softmax"), False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_only_a_dense_layer_with_a_softmax_has_its_logits_in_reach(layer: layers.Layer, *, is_one: bool) -> None:
    assert is_dense_softmax(layer) == is_one


@pytest.mark.parametrize(
    ("activation", "units", "loss", "head", "guessed"),
    [
        ("softmax", 3, None, "softmax", False),
        ("softmax", 3, Loss("categorical_crossentropy", from_logits=True), "softmax", False),
        ("sigmoid", 1, None, "sigmoid", False),
        ("sigmoid", 3, Loss("categorical_crossentropy"), "sigmoid", False),
        ("sigmoid", 2, CROSS_ENTROPY, "sigmoid", False),
        ("sigmoid", 3, BINARY, "multi-label", False),
        ("sigmoid", 2, BINARY, "multi-label", True),
        ("sigmoid", 3, None, "multi-label", True),
        ("linear", 3, Loss("categorical_crossentropy", from_logits=True), "logits", False),
        ("linear", 3, None, "logits", True),
        ("linear", 3, CROSS_ENTROPY, "logits", True),
        ("linear", 1, Loss("binary_crossentropy", from_logits=True), "logits", False),
        ("linear", 4, Loss("binary_crossentropy", from_logits=True), "multi-label", False),
    ],
)
def test_the_layers_tell_the_head_before_the_loss_does(
    activation: Activation, units: int, loss: Loss | None, head: Head, *, guessed: bool
) -> None:
    guess = guess_head(activation, units, loss)
    assert guess
    assert (guess.head, guess.guessed) == (head, guessed)


@pytest.mark.parametrize(
    ("activation", "units", "loss"), [("softmax", 1, None), ("linear", 1, Loss("mean_squared_error")), (None, 3, None)]
)
def test_what_is_no_classifier_has_no_head(activation: Activation | None, units: int, loss: Loss | None) -> None:
    assert guess_head(activation, units, loss) is None


@pytest.mark.parametrize(
    ("head", "activation", "units", "expected"),
    [
        ("softmax", "softmax", 3, Conversion(None, two_classes=False, sums_to_one=True)),
        ("logits", "linear", 3, Conversion("softmax", two_classes=False, sums_to_one=True)),
        ("logits", "linear", 1, Conversion("sigmoid", two_classes=True, sums_to_one=True)),
        ("sigmoid", "sigmoid", 1, Conversion(None, two_classes=True, sums_to_one=True)),
        ("sigmoid", "sigmoid", 4, Conversion(None, two_classes=False, sums_to_one=False)),
        ("multi-label", "sigmoid", 4, Conversion(None, two_classes=False, sums_to_one=False)),
        ("multi-label", "linear", 4, Conversion("sigmoid", two_classes=False, sums_to_one=False)),
    ],
)
def test_no_activation_is_applied_twice(head: Head, activation: Activation, units: int, expected: Conversion) -> None:
    assert conversion_of(head, activation, units) == expected


@pytest.mark.parametrize(
    ("scores", "of_one", "of_many"),
    [
        ([[0.2, 0.8], [1, 0]], True, True),
        ([[0.2, 0.9], [1, 1]], False, True),
        ([[0.2, 0.8], [2, 0]], False, False),
        ([[1.5, -0.5]], False, False),
        ([[np.nan, 1]], False, False),
        ([[np.inf, -np.inf]], False, False),
    ],
)
def test_probabilities_are_finite_from_0_to_1_and_sum_to_1_where_one_class_is_right(
    scores: list[list[float]], *, of_one: bool, of_many: bool
) -> None:
    rows = np.array(scores, np.float32)
    assert are_probabilities(rows, sums_to_one=True) == of_one
    assert are_probabilities(rows, sums_to_one=False) == of_many
