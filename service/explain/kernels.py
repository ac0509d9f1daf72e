"""The kernels of a convolution: the numbers, and how they are spread. Knows no HTTP."""

import keras
import numpy as np

from service.engines.keras_summary import named_layers
from service.errors import NotInModel
from service.explain.layers import chosen, is_convolution
from service.explain.results import Kernels

_BINS = 40


def kernels_of(model: keras.Model, name: str | None, channel: int | None) -> Kernels:
    """Those of the convolution `name`, or of the first one. Raises NotInModel."""
    convolutions = {name: layer for name, layer in named_layers(model).items() if is_convolution(layer)}
    name = chosen(convolutions, name, "kernels to show")
    layer = convolutions[name]
    weights = np.asarray(keras.ops.convert_to_numpy(layer.kernel)).transpose(3, 2, 0, 1)
    channels = weights.shape[1]
    if channel is not None and channel >= channels:
        raise NotInModel(f"channel: {channel} is not one of the {channels} input channels of {name}, 0 first")
    counts, edges = np.histogram(weights, _BINS)
    return Kernels(
        name,
        channel,
        weights if channel is None else weights[:, channel : channel + 1],
        np.asarray(keras.ops.convert_to_numpy(layer.bias)) if layer.use_bias else None,
        float(weights.mean()),
        float(weights.std()),
        counts,
        edges,
    )
