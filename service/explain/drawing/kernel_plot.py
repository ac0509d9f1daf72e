"""A convolution's kernels as a grid, above the histogram of its weights. Knows neither Keras nor HTTP."""

import math

import numpy as np

from models.charts import INK, MUTED
from models.plot_format import PlotFormat
from service.explain.drawing.axis import as_words, draw_bars, round_numbers
from service.explain.drawing.canvas import Box, Canvas
from service.explain.drawing.mosaic import (
    MARGIN,
    TITLE_SIZE,
    WIDTH,
    Scale,
    columns_for,
    draw_mosaic,
    mosaic_height,
    width_for,
)
from service.explain.results import Kernels, KernelScale

# The scale of grey that the textbook uses, whatever the weights are.
_TEXTBOOK = Scale("gray", -0.5, 0.5)
_TALLEST = 2304.0
_HISTOGRAM = 320.0


def draw_kernels(kernels: Kernels, scale: KernelScale, form: PlotFormat) -> bytes:
    """A grid of the kernels above the histogram of the layer's weights.

    Of one input channel, filter beside filter; of several, a row for each filter and a column for each channel.
    """
    filters, channels, *size = kernels.weights.shape
    height, width = size
    columns = columns_for(filters) if channels == 1 else channels
    tiles = kernels.weights.reshape(-1, height, width)
    highest = float(np.abs(tiles).max()) or 1.0
    part = (
        f"input channel {kernels.channel}"
        if kernels.channel is not None
        else f"{channels} input channels, a column each"
    )
    tall = min(_TALLEST, mosaic_height(len(tiles), (height, width), columns))
    canvas = Canvas(WIDTH, math.ceil(tall + _HISTOGRAM))
    draw_mosaic(
        canvas,
        0,
        tiles,
        range(filters) if channels == 1 else (),
        columns,
        _TEXTBOOK if scale == "fixed" else Scale("RdBu_r", -highest, highest),
        f"{kernels.layer}: {filters} kernels of {height}×{width}"
        + (f", {part}" if channels > 1 or kernels.channel is not None else ""),
        width_for(tall, len(tiles), (height, width), columns),
    )
    title = f"its {kernels.counts.sum():,} weights: mean {kernels.mean:.4f}, "
    title += f"standard deviation {kernels.standard_deviation:.4f}"
    canvas.words(MARGIN, tall + 30, title, TITLE_SIZE, INK)
    low, high = float(kernels.edges[0]), float(kernels.edges[-1])
    box = Box(MARGIN + 74, tall + 50, WIDTH - 2 * MARGIN - 84, _HISTOGRAM - 100)
    draw_bars(canvas, box, kernels.counts, kernels.edges, [(at, as_words(at)) for at in round_numbers(low, high, 8)])
    if low < 0 < high:
        canvas.rectangle(Box(box.left - low / (high - low) * box.width, box.top, 1.5, box.height), MUTED)
    return canvas.encoded(form)
