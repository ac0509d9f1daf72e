"""How well each combination of preparation and order of the labels fits the pictures. Knows no Keras and no table."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import ImageInput
from models.preprocessing import ModelInput, scaled
from service.check.orders import Floats, Order, suggested
from service.check.pictures import Pictures, resizing_of

# What a probability counts at least, so that a picture in the wrong folder does not outweigh all others, and at most:
# pixels that are too large make a model surer of the same answers, and that should not make them better ones.
_LEAST_PROBABILITY, _MOST_PROBABILITY = 1e-3, 0.99


class Result(NamedTuple):
    """One combination: for each picture whether it is right, and the logarithm of the right class's probability."""

    input: ImageInput
    order: Order
    right: npt.NDArray[np.bool_]
    likelihoods: npt.NDArray[np.float64]

    @property
    def right_count(self) -> int:
        """How many pictures are right."""
        return int(self.right.sum())

    @property
    def cross_entropy(self) -> float:
        """The mean over all pictures, in nats, where probabilities count as 0.001 at least and 0.99 at most."""
        return float(-self.likelihoods.mean())


def results(
    predict: Callable[[ModelInput], Floats],
    pictures: Pictures,
    inputs: Sequence[ImageInput],
    orders: Sequence[Order],
    suggest: bool,
    progress: Callable[[], None],
) -> list[Result]:
    """Every one of `inputs` with each of `orders`, and where asked with the order that the pictures suggest.

    `predict` gives scores (rows, classes); `progress` is called after each of `inputs`.
    """
    found: list[Result] = []
    for taken in inputs:
        scores = _distribution(predict(scaled(pictures.pixels[resizing_of(taken)], taken)))
        found += [_result(taken, order, scores, _each(order, pictures.labels)) for order in orders]
        if suggest:
            found += _by_suggestion(taken, scores, pictures, orders)
        progress()
    return found


def _by_suggestion(taken: ImageInput, scores: Floats, pictures: Pictures, orders: Sequence[Order]) -> Iterator[Result]:
    """The order that the pictures suggest, where it is another than the `orders`.

    An order that was fitted to pictures is right on those by chance, too. So it is judged by two halves, each by the
    order that the other half suggests (cross-validation of two folds).
    """
    labels, folders = pictures.labels, len(pictures.folders)
    whole = suggested(scores, labels, folders)
    if whole is None or whole in {order.outputs for order in orders}:
        return
    second = _second_half(labels)
    places = np.zeros_like(labels)
    for half in (second, ~second):
        outputs = suggested(scores[~half], labels[~half], folders)
        if outputs is None:
            return
        places[half] = np.array(outputs)[labels[half]]
    yield _result(taken, Order("suggested", whole, suggested=True), scores, places)


def _second_half(labels: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Every other picture of each class."""
    second = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        second[np.flatnonzero(labels == label)[1::2]] = True
    return second


def _each(order: Order, labels: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.array(order.outputs)[labels]


def _result(taken: ImageInput, order: Order, scores: Floats, places: npt.NDArray[np.intp]) -> Result:
    """`places`: for each picture the output that should be the highest."""
    of_right = scores[np.arange(len(scores)), places].astype(np.float64)
    return Result(
        taken, order, scores.argmax(axis=1) == places, np.log(np.clip(of_right, _LEAST_PROBABILITY, _MOST_PROBABILITY))
    )


def _distribution(scores: Floats) -> Floats:
    """Rows that sum to 1: sigmoids need not, and pixels that are far too large can make values that are no numbers."""
    known = np.nan_to_num(scores, nan=0.0, posinf=1.0, neginf=0.0)
    sums = known.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(known, sums, out=np.zeros_like(known), where=sums > 0), np.float32)
