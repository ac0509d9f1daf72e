"""What a Keras model itself does to the pixels before its first weights, and what that says of its input.

Knows no card and no options.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import keras
import numpy as np

from models.pixels import PixelRange
from service.model_files.first_operations import operations_from_input

# Of a model that takes pixels as they are, no scaling leaves more than this of their 255 steps.
_MOST_OF_A_PIXEL = 20.0
# How far the middle of what a model computes with may lie from 0, in halves of its range: at one end, and a bit more.
_MOST_OFF_CENTRE = 1.5
_LEAST_ENLARGEMENT = 1.5
# A mean of pixels that is larger than this is not one of values up to 1.
_MEAN_OF_PIXELS = 4.0
_ARITHMETIC = {"TrueDivide", "Divide", "Multiply", "Subtract", "Add"}
# As many layers before the first weights as anybody has; a model that loops would never end.
_MOST_LAYERS = 200


class PixelLayers(NamedTuple):
    """What was found: the pixels that the model takes, in words why, whether that is a guess, and a size, if any.

    `image_size` (height, width) is the one to which the model itself brings all images.
    """

    pixels: PixelRange | None
    source: str
    guessed: bool = False
    image_size: tuple[int, int] | None = None


def pixel_layers(model: keras.Model) -> PixelLayers:
    """What the layers on the path from the input say, in models inside of the model, too, and behind augmentation."""
    factor, offset, size = 1.0, 0.0, None
    found: list[str] = []
    for operation in _before_first_weights(model):
        if isinstance(operation, keras.layers.Resizing) and size is None:
            size = (operation.height, operation.width)
        if isinstance(operation, keras.layers.BatchNormalization):
            if not found:
                return _by_remembered_mean(operation, size)
            break
        step = _step(operation)
        if step is not None:
            factor, offset = factor * step[0], offset * step[0] + step[1]
            found.append(operation.name)
    if not found:
        return PixelLayers(None, "no layer scales the pixels", image_size=size)
    pixels, guessed = _range_for(factor, offset)
    if pixels is None:
        return PixelLayers(None, f"{', '.join(found)} scales no pixels that are known", image_size=size)
    return PixelLayers(pixels, f"the model scales the pixels itself: {', '.join(found)}", guessed, size)


def _range_for(factor: float, offset: float) -> tuple[PixelRange | None, bool]:
    """The pixels of which value × `factor` + `offset` lies around 0, or begins there; and whether that is a guess."""
    likely: list[PixelRange] = []
    ranges: tuple[tuple[PixelRange, float], ...] = (("0..1", 1.0), ("0..255", 255.0))
    for pixels, highest in ranges:
        middle, half = factor * highest / 2 + offset, abs(factor) * highest / 2
        if abs(middle) <= _MOST_OFF_CENTRE * half:
            likely.append(pixels)
    if len(likely) != len(ranges):
        return (likely[0], False) if likely else (None, True)
    # 1/255 and 1/127.5 make of pixels what is near 1; a factor that is larger expects it to be near 1 already.
    small, large = abs(factor) * 255 <= _MOST_OF_A_PIXEL, abs(factor) > _LEAST_ENLARGEMENT
    return "0..255" if small else "0..1", not (small or large)


def _by_remembered_mean(layer: keras.layers.BatchNormalization, size: tuple[int, int] | None) -> PixelLayers:
    """A normalization of the input itself remembers what the training images were like."""
    mean, variance = (
        float(np.mean(keras.ops.convert_to_numpy(one))) for one in (layer.moving_mean, layer.moving_variance)
    )
    if (mean, variance) == (0.0, 1.0):  # as it was made; it remembers nothing
        return PixelLayers(None, "no layer scales the pixels", image_size=size)
    pixels: PixelRange = "0..255" if mean > _MEAN_OF_PIXELS else "0..1" if mean > np.sqrt(max(variance, 0)) else "-1..1"
    return PixelLayers(pixels, f"{layer.name} remembers a mean of {mean:.3g}", guessed=True, image_size=size)


def _step(operation: Any) -> tuple[float, float] | None:
    """What a value is multiplied by, and what is added then, on average over channels; None for what does not scale."""
    if isinstance(operation, keras.layers.Rescaling):
        return float(np.mean(operation.scale)), float(np.mean(operation.offset))
    if isinstance(operation, keras.layers.Normalization):
        mean, variance = (np.mean(keras.ops.convert_to_numpy(one)) for one in (operation.mean, operation.variance))
        spread = max(float(np.sqrt(variance)), 1e-6)
        return 1 / spread, -float(mean) / spread
    if type(operation).__name__ in _ARITHMETIC and not isinstance(operation, keras.layers.Layer):
        return _step_of_operator(type(operation).__name__, _arguments(operation))
    return None


def _step_of_operator(kind: str, arguments: list[Any]) -> tuple[float, float] | None:
    numbers = [one for one in arguments if isinstance(one, (int, float, list, np.ndarray)) or keras.ops.is_tensor(one)]
    if len(numbers) != 1 or not np.mean(numbers[0]):
        return None
    number, comes_second = float(np.mean(numbers[0])), arguments[0] is not numbers[0]
    match kind:
        case "Multiply":
            return number, 0.0
        case "Add":
            return 1.0, number
        case "Subtract":
            return (1.0, -number) if comes_second else (-1.0, number)
    return (1 / number, 0.0) if comes_second else None


def _arguments(operation: Any) -> list[Any]:
    node = operation._inbound_nodes[0]
    return [*node.arguments.args, *node.arguments.kwargs.values()]


def _before_first_weights(model: keras.Model) -> Iterator[Any]:
    """The operations on the path from the input, models opened, up to the first with weights or to a branch."""
    for operation in islice(operations_from_input(model), _MOST_LAYERS):
        yield operation
        of_pixels = isinstance(operation, (keras.layers.Normalization, keras.layers.BatchNormalization))
        if getattr(operation, "weights", None) and not of_pixels:
            return
