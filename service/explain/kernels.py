"""The kernels of a convolution: the numbers, and how they are spread. Knows no HTTP."""

import keras
import numpy as np

from service.errors import NotInModel
from service.explain.layers import is_convolution, named
from service.explain.results import Kernels

_BINS = 40


def kernels_of(model: keras.Model, name: str | None, channel: int | None) -> Kernels:
    """Those of the convolution `name`, or of the first one. Must be called on the inference thread.

    Raises NotInModel.
    """
    layer = named(model, name, is_convolution, "kernels to show")
    weights = np.asarray(keras.ops.convert_to_numpy(layer.kernel)).transpose(3, 2, 0, 1)
    channels = weights.shape[1]
    if channel is not None and channel >= channels:
        raise NotInModel(f"channel: {channel} is not one of the {channels} input channels of {layer.name}, 0 first")
    counts, edges = np.histogram(weights, _BINS)
    return Kernels(
        layer.name,
        channel,
        weights if channel is None else weights[:, channel : channel + 1],
        np.asarray(keras.ops.convert_to_numpy(layer.bias)) if layer.use_bias else None,
        float(weights.mean()),
        float(weights.std()),
        counts,
        edges,
    )
