"""The kernels of a convolution: the numbers, how they are spread, and an image of both. Knows no HTTP."""

from typing import Literal, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from models.charts import INK, MUTED, TRAINING_COLOUR, PlotFormat, save_figure
from service.errors import NotInModel
from service.explain.drawing.mosaic import WIDTH, Scale, columns_for, draw_mosaic, mosaic_height
from service.explain.layers import is_convolution, named

Floats = npt.NDArray[np.float32]

KernelScale = Literal["fixed", "symmetric"]

# The scale of grey that the textbook uses, whatever the weights are.
_TEXTBOOK = Scale("gray", -0.5, 0.5)
_BINS = 40


class Kernels(NamedTuple):
    """The kernels of one layer: float32 (filters, input channels, height, width), and the biases (filters,).

    `channel` is the only input channel that is there, or None where all are. Mean, standard deviation and histogram are
    those of all weights of the layer, biases left out; a histogram has one edge more than counts.
    """

    layer: str
    channel: int | None
    weights: Floats
    biases: Floats | None
    mean: float
    standard_deviation: float
    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]


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


def draw_kernels(kernels: Kernels, scale: KernelScale, form: PlotFormat) -> bytes:
    """A grid of the kernels above the histogram of the layer's weights.

    Of one input channel, filter beside filter; of several, a row for each filter and a column for each channel.
    """
    filters, channels, height, width = kernels.weights.shape
    columns = columns_for(filters) if channels == 1 else channels
    tiles = kernels.weights.reshape(-1, height, width)
    highest = float(np.abs(tiles).max()) or 1.0
    tall = min(16.0, mosaic_height(len(tiles), (height, width), columns))
    figure = Figure(figsize=(WIDTH, tall + 2), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(tall, 1.7))
    part = (
        f"input channel {kernels.channel}"
        if kernels.channel is not None
        else f"{channels} input channels, a column each"
    )
    draw_mosaic(
        figure,
        above,
        tiles,
        range(filters) if channels == 1 else (),
        columns,
        _TEXTBOOK if scale == "fixed" else Scale("RdBu_r", -highest, highest),
        f"{kernels.layer}: {filters} kernels of {height}×{width}"
        + (f", {part}" if channels > 1 or kernels.channel else ""),
    )
    below.stairs(kernels.counts, kernels.edges, fill=True, color=TRAINING_COLOUR)
    below.axvline(0, color=MUTED, linewidth=0.8)
    below.set_title(
        f"its weights: mean {kernels.mean:.4f}, standard deviation {kernels.standard_deviation:.4f}",
        fontsize=11,
        color=INK,
        loc="left",
    )
    below.set_ylabel("weights", color=INK)
    below.spines[["top", "right"]].set_visible(False)
    return save_figure(figure, form)
