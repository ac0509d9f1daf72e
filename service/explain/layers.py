"""What passes through each layer for one image, and the layers by name. Knows no HTTP."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from models.preprocessing import ModelInput
from service.engines.keras_summary import named_layers
from service.errors import NotInModel

Floats = npt.NDArray[np.float32]
Layers = Mapping[str, keras.layers.Layer]

# At prediction these hand on what they are given, or only give it another shape.
_UNCHANGED = (keras.layers.Dropout, keras.layers.Flatten, keras.layers.Reshape)


class Passed(NamedTuple):
    """What a layer read and what it made, as tensors: those that the model itself works with, gradients and all."""

    read: Any
    made: Any


def as_batch(model: keras.Model, image: ModelInput) -> Floats:
    """A batch of the one image, float32 (height, width, channels), in the shape that the model takes."""
    return image.reshape(1, *model.input_shape[1:])


@contextmanager
def watched(layers: Layers, tell: Callable[[Passed], None] = lambda _: None) -> Iterator[dict[str, Passed]]:
    """What passes meanwhile through each of `layers`, the first time where that is several times.

    Also through those of models inside of the model, which Keras's own way, a model of their outputs, does not reach.
    `tell` is given all that passes, each time before it goes on to the next layer.
    """
    passed: dict[str, Passed] = {}

    def watching(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def call_and_tell(*given: Any, **named: Any) -> Any:
            now = Passed((*given, *named.values())[0], call(*given, **named))
            passed.setdefault(name, now)
            tell(now)
            return now.made

        return call_and_tell

    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.callback(setattr, layer, "call", layer.call)
            layer.call = watching(name, layer.call)
        yield passed


def layer_outputs(model: keras.Model, image: ModelInput, only: str | None = None) -> dict[str, Floats]:
    """By the layer's name, what comes out of it: (height, width, channels) or (units,), as Keras itself has it.

    Of all layers that make something new, or of the one named `only`. Raises NotInModel.
    """
    layers = {name: layer for name, layer in named_layers(model).items() if not isinstance(layer, _UNCHANGED)}
    with watched(layers) as passed:
        model(as_batch(model, image), training=False)
    fitting = {
        name: passed[name].made
        for name in layers
        if name in passed and len(getattr(passed[name].made, "shape", ())) in (2, 4)
    }
    names = fitting if only is None else [chosen(fitting, only, "maps or a vector")]
    return {name: np.asarray(fitting[name], np.float32)[0] for name in names}


def is_convolution(layer: Any) -> bool:
    """Whether it is a convolution over height and width whose kernel can be shown."""
    return isinstance(layer, keras.layers.Conv2D) and layer.data_format == "channels_last"


def is_pooling(layer: Any) -> bool:
    """Whether it is a pooling over windows of height and width."""
    return isinstance(layer, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D))


def chosen(fitting: Mapping[str, Any], name: str | None, kind: str) -> str:
    """The name of a layer of `fitting`: `name`, or without one the first.

    Raises NotInModel, which lists the layers that would do; `kind` says in words what they have.
    """
    if not fitting:
        raise NotInModel(f"this model has no layer with {kind}")
    if name is None:
        return next(iter(fitting))
    if name in fitting:
        return name
    raise NotInModel(f"layer: {name!r:.80} has no {kind} or is not in this model; it has {', '.join(fitting)}")
