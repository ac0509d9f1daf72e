"""Which network of `keras.applications` a Keras model is or contains. Knows no card."""

from typing import NamedTuple

import keras

from models.applications import pretraining_pixels
from models.pixels import PixelRange
from service.model_files.classifier import output_layer

_IMAGENET_CLASSES = 1000


class Application(NamedTuple):
    """The network's name, the pixels it was pretrained on, and whether it is all of the model, with ImageNet's classes.

    Those that scale pixels themselves are found by their layers first.
    """

    name: str
    pixels: PixelRange
    whole: bool


def application_in(model: keras.Model) -> Application | None:
    """The network of `keras.applications` that `model` is, or that is among its layers, by its name."""
    for part in (model, *(layer for layer in model.layers if isinstance(layer, keras.Model))):
        pixels = pretraining_pixels(part.name)
        if pixels:
            last = output_layer(model)
            whole = part is model and last.name == "predictions" and model.output_shape[-1] == _IMAGENET_CLASSES
            return Application(part.name, pixels, whole)
    return None
