"""Which network of `keras.applications` a Keras model is or contains, and on what pixels that was pretrained.

Whoever fits it anew may have scaled them otherwise, so this is no more than a hint. Knows no card.
"""

import re
from typing import NamedTuple

import keras

from models.pixels import PixelRange
from service.model_files.classifier import output_layer

# As the `preprocess_input` of each has it. Those that scale pixels themselves are not here.
_NETWORKS: tuple[tuple[str, PixelRange], ...] = (
    (r"mobilenet(v2)?_[0-9.]+_.*|inception_.*|xception|nasnet.*|resnet(50|101|152)v2", "-1..1"),
    (r"vgg1[69]|resnet(50|101|152)", "caffe"),
    (r"densenet.*", "torch"),
)
_IMAGENET_CLASSES = 1000


class Application(NamedTuple):
    """The network's name, its pixels, and whether it is all of the model, with ImageNet's classes at its end."""

    name: str
    pixels: PixelRange
    whole: bool


def application_in(model: keras.Model) -> Application | None:
    """The network of `keras.applications` that `model` is, or that is among its layers, by its name."""
    for part in (model, *(layer for layer in model.layers if isinstance(layer, keras.Model))):
        for pattern, pixels in _NETWORKS:
            if re.fullmatch(pattern, part.name):
                last = output_layer(model)
                whole = part is model and last.name == "predictions" and model.output_shape[-1] == _IMAGENET_CLASSES
                return Application(part.name, pixels, whole)
    return None
