"""What the last layer means, of Keras's own layers; and what probabilities are."""

import keras
import numpy as np
import pytest
from keras import layers

from models.head import are_probabilities, head_of


@pytest.mark.parametrize(
    ("layer", "head"),
    [
        (layers.Dense(3, activation="softmax"), "softmax"),
        (layers.Dense(3, activation=keras.ops.softmax), "softmax"),
        (layers.Dense(3), None),
        (layers.Dense(1, activation="sigmoid"), None),
        (layers.Softmax(), None),
        (layers.Activation("softmax"), None),
        (layers.Conv2D(3, 1, activation="softmax"), None),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_only_a_dense_layer_with_a_softmax_has_its_logits_in_reach(layer: layers.Layer, head: str | None) -> None:
    assert head_of(layer) == head


@pytest.mark.parametrize(
    ("scores", "right"),
    [
        ([[0.2, 0.8], [1, 0]], True),
        ([[0.2, 0.8], [2, 0]], False),
        ([[1.5, -0.5]], False),
        ([[np.nan, 1]], False),
        ([[np.inf, -np.inf]], False),
    ],
)
def test_probabilities_are_finite_and_none_is_negative_and_they_sum_to_1(
    scores: list[list[float]], right: bool
) -> None:
    assert are_probabilities(np.array(scores, np.float32)) == right
