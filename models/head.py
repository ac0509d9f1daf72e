"""What the last layer of a classifier means, and how its values become probabilities. Knows no Keras.

A head and the last activation together tell what is still to be done: logits need a softmax or a sigmoid, one unit
stands for two classes, [1 - p, p].
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Head = Literal["softmax", "logits", "sigmoid", "multi-label"]
Activation = Literal["softmax", "sigmoid", "linear"]

_CATEGORICAL = "categorical_crossentropy"  # with "sparse_" before it, too
_BINARY = {"binary_crossentropy", "binary_focal_crossentropy", "bce"}
_REGRESSION = {"mean_squared_error", "mse", "mean_absolute_error", "mae", "huber", "log_cosh"}


class Loss(NamedTuple):
    """What a model was fitted with: Keras's name of the loss in small letters, and whether that expects logits."""

    name: str
    from_logits: bool = False


class HeadGuess(NamedTuple):
    """A head, from what that is told, and whether something else is as well possible."""

    head: Head
    source: str
    guessed: bool = False


class Conversion(NamedTuple):
    """How the model's own output becomes one probability for each class: `activation` first, then two classes of one.

    `sums_to_one`: whether exactly one class is meant to be right.
    """

    activation: Literal["softmax", "sigmoid"] | None
    two_classes: bool
    sums_to_one: bool

    @property
    def nothing_to_do(self) -> bool:
        """Whether the output already is the probabilities."""
        return self.activation is None and not self.two_classes


def guess_head(activation: Activation | None, units: int, loss: Loss | None) -> HeadGuess | None:
    """The head of a model whose last layer has `activation` and `units`; None where it is no classifier's.

    The layers count before the loss: a softmax is a softmax, whatever the loss was told.
    """
    said = f", with the loss {loss.name}" if loss else ""
    match activation:
        case "softmax" if units > 1:
            return HeadGuess("softmax", "the last activation")
        case "sigmoid" if units == 1:
            return HeadGuess("sigmoid", "one unit with a sigmoid")
        case "sigmoid" if loss and _CATEGORICAL in loss.name:
            return HeadGuess("sigmoid", f"sigmoids{said}")
        case "sigmoid":
            return HeadGuess("multi-label", f"sigmoids{said}", guessed=loss is None or units == 2)
        case "linear" if not (loss and loss.name in _REGRESSION):
            many = loss and loss.name in _BINARY and units > 1
            guessed = not (loss and loss.from_logits)
            return HeadGuess("multi-label" if many else "logits", f"no last activation{said}", guessed)
    return None


def class_count(head: Head | None, units: int) -> int:
    """How many classes the `units` values of a model with that head stand for."""
    return 2 if units == 1 and head in ("sigmoid", "logits") else units


def is_dense_softmax(last_layer: object) -> bool:
    """Whether a Keras layer is dense with a softmax, so that its `kernel` and `bias` give the logits of its input."""
    activation = getattr(getattr(last_layer, "activation", None), "__name__", None)
    return (type(last_layer).__name__, activation) == ("Dense", "softmax")


def conversion_of(head: Head, activation: Activation | None, units: int) -> Conversion:
    """What is to be done with the output of `units` values whose last activation is `activation`."""
    linear = activation == "linear"
    match head:
        case "softmax":
            return Conversion(None, two_classes=False, sums_to_one=True)
        case "logits" if units == 1:
            return Conversion("sigmoid", two_classes=True, sums_to_one=True)
        case "logits":
            return Conversion("softmax", two_classes=False, sums_to_one=True)
        case "sigmoid":
            return Conversion("sigmoid" if linear else None, two_classes=units == 1, sums_to_one=units == 1)
    return Conversion("sigmoid" if linear else None, two_classes=False, sums_to_one=False)


def are_probabilities(scores: npt.NDArray[np.float32], *, sums_to_one: bool) -> bool:
    """Whether each row of `scores` (rows, classes) is finite, from 0 to 1, and has the sum 1 where it should."""
    inside = np.isfinite(scores).all() and (scores >= 0).all() and (scores <= 1 + 1e-3).all()
    return bool(inside and (not sums_to_one or np.allclose(scores.sum(axis=1), 1, atol=5e-3)))
