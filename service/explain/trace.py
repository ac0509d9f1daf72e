"""The arithmetic of one value of one feature map: what the layer read there, and what it made of it. Knows no HTTP."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from models.preprocessing import ModelInput
from service.engines.keras_summary import named_layers
from service.errors import NotInModel
from service.explain.layers import as_batch, chosen, is_convolution, is_pooling, watched
from service.explain.results import ConvolutionTrace, PoolingTrace, Window

Floats = npt.NDArray[np.float32]


def trace(
    model: keras.Model, image: ModelInput, name: str | None, channel: int, row: int, column: int
) -> ConvolutionTrace | PoolingTrace:
    """How the value at `row` and `column` of map `channel` of a layer comes about; all count from 0.

    The layer is a convolution or a pooling; without a name the first. Raises NotInModel for another layer, or for a
    place that its maps do not have.
    """
    layers = {name: layer for name, layer in named_layers(model).items() if is_convolution(layer) or is_pooling(layer)}
    name = chosen(layers, name, "arithmetic to show")
    layer = layers[name]
    with watched({name: layer}) as passed:
        model(as_batch(model, image), training=False)
    if name not in passed:
        raise NotInModel(f"layer: {name} has no part in the answer of this model")
    before, after = (np.asarray(keras.ops.convert_to_numpy(values))[0] for values in passed[name])
    for what, number, count in zip(("row", "column", "filter"), (row, column, channel), after.shape, strict=True):
        if number >= count:
            raise NotInModel(f"{what}: {number} is past the {count} that the maps of {name} have, 0 first")
    value = float(after[row, column, channel])
    if is_pooling(layer):
        window = _window(before[..., channel : channel + 1], layer, layer.pool_size, (1, 1), row, column)
        return _pooling(name, layer, window, value)
    kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel))[..., channel].transpose(2, 0, 1)
    # With groups, a filter reads only the channels of its own.
    group = channel // (layer.filters // layer.groups)
    own = before[..., group * len(kernel) : (group + 1) * len(kernel)]
    window = _window(own, layer, layer.kernel_size, layer.dilation_rate, row, column)
    products = window.values * kernel
    bias = float(keras.ops.convert_to_numpy(layer.bias)[channel]) if layer.use_bias else 0.0
    total = float(products.sum(dtype=np.float64)) + bias
    # A layer can stand in the place of a function.
    activation = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    return ConvolutionTrace(name, window, kernel, bias, products, total, activation, value)


def _pooling(name: str, layer: Any, window: Window, value: float) -> PoolingTrace:
    if not isinstance(layer, keras.layers.MaxPooling2D):
        return PoolingTrace(name, "mean", window, None, value)
    seen = np.where(window.inside, window.values[0], -np.inf)
    place = np.unravel_index(int(seen.argmax()), seen.shape)
    return PoolingTrace(name, "maximum", window, (int(place[0]), int(place[1])), value)


def _window(
    before: Floats, layer: Any, size: tuple[int, int], dilation: tuple[int, int], row: int, column: int
) -> Window:
    """The values of `before` (height, width, channels) that the layer reads for its output at `row` and `column`."""
    rows, columns = (
        _places(place, extent, window, stride, apart, layer.padding)
        for place, extent, window, stride, apart in zip(
            (row, column), before.shape[:2], size, layer.strides, dilation, strict=True
        )
    )
    inside = np.array([[0 <= y < before.shape[0] and 0 <= x < before.shape[1] for x in columns] for y in rows])
    values = before[np.clip(rows, 0, before.shape[0] - 1)][:, np.clip(columns, 0, before.shape[1] - 1)]
    return Window(np.where(inside, values.transpose(2, 0, 1), np.float32(0)), rows, columns, inside)


def _places(place: int, extent: int, window: int, stride: int, apart: int, padding: str) -> list[int]:
    """Where along one axis a window lies. `same` pads as TensorFlow does: evenly, and one more at the end if odd."""
    reach = (window - 1) * apart + 1
    before = 0
    if padding == "same":
        before = max((-(-extent // stride) - 1) * stride + reach - extent, 0) // 2
    return [place * stride - before + step * apart for step in range(window)]
