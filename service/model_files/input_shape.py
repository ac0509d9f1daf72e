"""The images that a Keras model takes, from the shape of its input and what it does with it first. Knows no card."""

import math
from itertools import islice
from typing import Any, NamedTuple

import keras

from models.card import ModelFileError
from service.model_files.first_operations import operations_from_input

_COLOURS = (1, 3)
_MOST_BATCH_VALUES = 1 << 26  # 256 MiB of float32
# Fewer values than an image of 8×8 has are the columns of a table.
_LEAST_EDGE = 8
# What works on a value by itself, whatever the shape is.
_OF_EACH_VALUE = (
    keras.layers.InputLayer,
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.Identity,
)
# What makes an image, or one row of all values, of what has two axes.
_OF_ALL_VALUES = {"Flatten", "Reshape", "ExpandDims", "GetItem"}
_MOST_OPERATIONS = 20


class InputShape(NamedTuple):
    """The sizes of the images that a model takes; None where any will do.

    `guessed`: the model does not say that these are images; `words` say what it takes.
    """

    height: int | None
    width: int | None
    channels: int
    batch_size: int | None = None
    guessed: bool = False
    words: str = "the model's input"


def input_shape(model: keras.Model, image_size: tuple[int, int] | None) -> InputShape:
    """The images that `model` takes. `image_size` (height, width) is what somebody who knows it says, or None.

    Raises ModelFileError for more than one input, or no image.
    """
    if len(model.inputs) > 1:
        raise ModelFileError(f"it has {len(model.inputs)} inputs, {_named(model.inputs)}; expected one, an image")
    batch, *sizes = model.inputs[0].shape
    if batch and batch * math.prod(size or 1 for size in sizes) > _MOST_BATCH_VALUES:
        raise ModelFileError(f"it takes batches of {batch:,} images at once; save it for batches of any size")
    match sizes:
        case [height, width, channels] if channels in _COLOURS:
            return InputShape(height, width, channels, batch)
        case [height, width]:
            return _of_two_axes(model, height, width, batch, image_size)
        case [values] if values:
            return _of_one_axis(values, batch)
        case [None, None, None] | [None]:
            raise ModelFileError(
                "it was saved without the shape of its input; call it once on an image, and save it again"
            )
        case [channels, height, width] if _are_channels_first(channels, height, width):
            raise ModelFileError(
                f"it takes {(batch, *sizes)}, with the channels first; expected them last, as TensorFlow has them"
            )
        case [_, _, channels]:
            raise ModelFileError(
                f"it takes {(batch, *sizes)}, images of {channels} channels, and grey ones and RGB are served, of 1 or "
                "3; put a layer before it that makes its channels of those, or fit it to RGB"
            )
    raise ModelFileError(
        f"it is no image classifier: it takes {(batch, *sizes)}, expected (rows, height, width, 1 or 3 channels)"
    )


def _of_two_axes(
    model: keras.Model, height: int | None, width: int | None, batch: int | None, image_size: tuple[int, int] | None
) -> InputShape:
    """Grey images, or steps of so many values each, as a recording of sound or of movements has them."""
    known = height is not None and width is not None and min(height, width) >= _LEAST_EDGE
    if known and _takes_all_values_at_once(model):
        return InputShape(height, width, 1, batch)
    if known and (height == width or image_size == (height, width)):
        said = image_size == (height, width)
        words = f"the model's input, if its {height} steps of {width} values are the rows of an image"
        return InputShape(height, width, 1, batch, guessed=not said, words=words)
    advice = f"; if those are the rows of an image, say --image-size {height}x{width}" if known else ""
    raise ModelFileError(
        f"it is no image classifier: it takes sequences, {_or_any(height)} steps of {_or_any(width)} values{advice}"
    )


def _of_one_axis(values: int, batch: int | None) -> InputShape:
    for channels in _COLOURS:
        edge = math.isqrt(values // channels)
        if edge >= _LEAST_EDGE and edge * edge * channels == values:
            words = f"the model's input, if its {values:,} values are the pixels of a square image"
            return InputShape(edge, edge, channels, batch, guessed=True, words=words)
    raise ModelFileError(
        f"it is no image classifier: it takes {values:,} values, expected (rows, height, width, 1 or 3 channels)"
    )


def _takes_all_values_at_once(model: keras.Model) -> bool:
    """Whether it does not go on by rows, as recurrent layers do, convolutions of one axis, or a sum for each row."""
    for operation in islice(operations_from_input(model), _MOST_OPERATIONS):
        if type(operation).__name__ in _OF_ALL_VALUES:
            return True
        arithmetic = not isinstance(operation, keras.layers.Layer)
        if not arithmetic and not isinstance(operation, _OF_EACH_VALUE):
            return False
    return False


def _are_channels_first(channels: int | None, height: int | None, width: int | None) -> bool:
    return channels is not None and channels <= 4 and None not in (height, width) and height == width != channels


def _or_any(size: int | None) -> str:
    return "any number of" if size is None else f"{size:,}"


def _named(tensors: list[Any]) -> str:
    return ", ".join(f"{one.name!r} {tuple(one.shape[1:])}" for one in tensors)
