"""What the last layer of a classifier means. Knows Keras's words for it, and no Keras.

One head is known so far: `softmax`, a dense layer whose softmax makes probabilities of logits that sum to 1.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Head = Literal["softmax"]


def head_of(last_layer: object) -> Head | None:
    """The head that a Keras layer is; None where its output is not understood, or its logits are out of reach.

    Of a `softmax` head, `kernel` and `bias` give the logits of the layer's input.
    """
    activation = getattr(getattr(last_layer, "activation", None), "__name__", None)
    return "softmax" if (type(last_layer).__name__, activation) == ("Dense", "softmax") else None


def are_probabilities(scores: npt.NDArray[np.float32]) -> bool:
    """Whether each row of `scores` (rows, classes) is what a softmax gives: finite, none below 0, with the sum 1."""
    return bool(np.isfinite(scores).all() and (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))
