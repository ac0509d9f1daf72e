"""A convolution's kernels as a grid, above the histogram of its weights. Knows neither Keras nor HTTP."""

import numpy as np
from matplotlib.figure import Figure

from models.charts import INK, MUTED, TRAINING_COLOUR, save_figure
from models.plot_format import PlotFormat
from service.explain.drawing.mosaic import WIDTH, Scale, columns_for, draw_mosaic, mosaic_height
from service.explain.results import Kernels, KernelScale

# The scale of grey that the textbook uses, whatever the weights are.
_TEXTBOOK = Scale("gray", -0.5, 0.5)


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
