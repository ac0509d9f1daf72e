"""Whether pictures, prepared in some way, look to a model like those that its normalization remembers. Knows no label.

A BatchNormalization layer keeps the mean and variance of its input over the training pictures. Pixels that are scaled
as in training give about the same; Li et al. 2016 (arXiv:1603.04779) take a difference for another domain, and
Schneider et al. 2020 (arXiv:2006.16971) measure it for each layer. Here it is the Bhattacharyya distance of two normal
distributions, as a mean over the channels, in the first such layer, where it told best; see docs/check.md.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from models.card import ImageInput
from models.pixels import ChannelOrder
from models.preprocessing import ModelInput, Pixels, scaled
from service.check.hypotheses import pixels_of
from service.explain.layers import Passed, watched
from service.model_files.classifier import layers_of

# By how much the second pixels must be further away than the first, and how near the first must be. Where the nearest
# were wrong in 124 cases (31 models, four sets of pictures), the ratio was 1.41 at most, of the channels' order 1.3.
# On 25 other models and three sets, 61 were told by these bounds, none of them wrong: see docs/check.md.
_PIXELS_RATIO, _ORDER_RATIO = 2.0, 1.5
_FARTHEST = 0.25
_ROWS = 16
_MOST_PICTURES = 64

Statistics = npt.NDArray[np.float64]


class Opinion(NamedTuple):
    """The distances, 0 for the same, the least first; and what they tell: None where they do not."""

    distances: tuple[tuple[ImageInput, float], ...]
    pixels: str | None
    channel_order: ChannelOrder | None

    @property
    def nearest(self) -> ImageInput:
        """What comes nearest, whether that tells something or not."""
        return self.distances[0][0]

    @property
    def told(self) -> dict[str, str | None]:
        """What they tell, by field."""
        return {"pixels": self.pixels, "channel_order": self.channel_order}

    @property
    def nearest_is_far(self) -> bool:
        """Whether even that is so far away that the pictures must be of another kind."""
        return self.distances[0][1] > _FARTHEST


def opinion(model: keras.Model, pixels: Pixels, inputs: Sequence[ImageInput]) -> Opinion | None:
    """What the first normalization of `model` says of each of `inputs`; None where it has none that was trained.

    `pixels` are uint8 (pictures, height, width, channels), of which the first 64 are looked at.
    """
    normalizations = (one for one in layers_of(model) if isinstance(one, keras.layers.BatchNormalization))
    layer = next(filter(_is_trained, normalizations), None)
    if layer is None:
        return None
    found = [(one, _distance(model, layer, scaled(pixels[:_MOST_PICTURES], one))) for one in inputs]
    found.sort(key=lambda pair: pair[1])
    return _told(tuple(found))


def _told(distances: tuple[tuple[ImageInput, float], ...]) -> Opinion:
    nearest, least = distances[0]
    if least > _FARTHEST:
        return Opinion(distances, None, None)
    word = pixels_of(nearest)
    others = [distance for one, distance in distances if pixels_of(one) != word]
    if others and min(others) < _PIXELS_RATIO * least:
        return Opinion(distances, None, None)
    turned = [distance for one, distance in distances if pixels_of(one) == word and one != nearest]
    order = nearest.channel_order if not turned or min(turned) >= _ORDER_RATIO * least else None
    return Opinion(distances, word, order)


def _is_trained(layer: keras.layers.BatchNormalization) -> bool:
    mean, variance = _remembered(layer)
    return bool(mean.any() or (variance != 1).any())


def _remembered(layer: keras.layers.BatchNormalization) -> tuple[Statistics, Statistics]:
    mean, variance = (keras.ops.convert_to_numpy(one) for one in (layer.moving_mean, layer.moving_variance))
    return mean.astype(np.float64), variance.astype(np.float64)


def _distance(model: keras.Model, layer: keras.layers.BatchNormalization, batch: ModelInput) -> float:
    mean, variance = _statistics(model, layer, batch)
    known_mean, known_variance = _remembered(layer)
    variance, known_variance = variance + layer.epsilon, known_variance + layer.epsilon
    both = variance + known_variance
    apart = (mean - known_mean) ** 2 / both / 4 + np.log(both / (2 * np.sqrt(variance * known_variance))) / 2
    return float(np.mean(np.nan_to_num(apart, nan=np.inf)))


def _statistics(
    model: keras.Model, layer: keras.layers.BatchNormalization, batch: ModelInput
) -> tuple[Statistics, Statistics]:
    """Mean and variance (channels,) of what comes to `layer`, over all rows of `batch` and all places."""
    axis = layer.axis
    count, sums, squares = 0, np.zeros(()), np.zeros(())

    def look(now: Passed) -> None:
        nonlocal count, sums, squares
        rows = np.moveaxis(keras.ops.convert_to_numpy(now.read), axis, -1)
        rows = rows.reshape(-1, rows.shape[-1]).astype(np.float64)
        count, sums, squares = count + len(rows), sums + rows.sum(axis=0), squares + (rows**2).sum(axis=0)

    shape = model.input_shape[1:]
    with watched({layer.name: layer}, look):
        for start in range(0, len(batch), _ROWS):
            rows = batch[start : start + _ROWS]
            model(rows.reshape(len(rows), *shape), training=False)
    mean = sums / count
    return mean, np.maximum(squares / count - mean**2, 0)
