"""What comes out of each layer for one image, and the layers by name. Knows no HTTP."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from models.preprocessing import ModelInput
from service.errors import NotInModel

Floats = npt.NDArray[np.float32]

# At prediction these hand on what they are given, or only give it another shape.
_UNCHANGED = (keras.layers.InputLayer, keras.layers.Dropout, keras.layers.Flatten, keras.layers.Reshape)


def as_batch(model: keras.Model, image: ModelInput) -> Floats:
    """A batch of the one image, float32 (height, width, channels), in the shape that the model takes."""
    return image.reshape(1, *model.input_shape[1:])


def layers_with_output(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that make something new: maps (height, width, channels) or a vector (units,)."""
    return [
        layer
        for layer in model.layers
        if not isinstance(layer, _UNCHANGED) and len(getattr(layer.output, "shape", ())) in (2, 4)
    ]


def layer_outputs(model: keras.Model, image: ModelInput, only: str | None = None) -> dict[str, Floats]:
    """By the layer's name, what comes out of it: (height, width, channels) or (units,), as Keras itself has it.

    Of all layers that make something new, or of the one named `only`. Must be called on the inference thread. Raises
    NotInModel.
    """
    fitting = layers_with_output(model)
    if only is not None:
        fitting = [named(model, only, fitting.__contains__, "maps or a vector")]
    outputs = keras.Model(model.inputs[0], {layer.name: layer.output for layer in fitting})
    made = outputs(as_batch(model, image), training=False)
    return {layer.name: np.asarray(made[layer.name], np.float32)[0] for layer in fitting}


def is_convolution(layer: Any) -> bool:
    """Whether it is a convolution over height and width whose kernel can be shown."""
    return isinstance(layer, keras.layers.Conv2D) and layer.data_format == "channels_last"


def is_pooling(layer: Any) -> bool:
    """Whether it is a pooling over windows of height and width."""
    return isinstance(layer, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D))


def named(
    model: keras.Model, name: str | None, fits: Callable[[keras.layers.Layer], bool], kind: str
) -> keras.layers.Layer:
    """The layer of that name, or without a name the first that `fits`.

    Raises NotInModel, which lists the layers that would do; `kind` says in words what they have.
    """
    fitting = [layer for layer in model.layers if fits(layer)]
    if not fitting:
        raise NotInModel(f"this model has no layer with {kind}")
    for layer in fitting:
        if name in (None, layer.name):
            return layer
    raise NotInModel(
        f"layer: {name!r:.80} has no {kind} or is not in this model; "
        f"it has {', '.join(layer.name for layer in fitting)}"
    )
