"""Images of what each layer makes of one image. Knows neither Keras nor HTTP."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.charts import INK
from models.plot_format import PlotFormat
from service.errors import NotInModel
from service.explain.deadline import ensure_time
from service.explain.drawing.axis import as_words, draw_bars, round_numbers
from service.explain.drawing.canvas import Box, Canvas
from service.explain.drawing.mosaic import (
    MARGIN,
    TITLE_SIZE,
    WIDTH,
    columns_for,
    draw_mosaic,
    fitting_scale,
    mosaic_height,
    width_for,
)
from service.explain.results import strongest_first

Floats = npt.NDArray[np.float32]

_VECTOR_HEIGHT = 317.0
_TALLEST = 5760.0
_LEAST_MOSAIC = 200.0
_MOST_LAYERS = 200
# Of bars each may have its number up to so many; else some have, or the strongest.
_MOST_NUMBERS = 20


def draw_feature_maps(outputs: Mapping[str, Floats], form: PlotFormat, *, strongest: bool) -> bytes:
    """One section for each layer: a grid of its maps (height, width, channels), or its values (units,) as bars.

    In the order of the model's channels, or with the `strongest` first; each map has its number. Where the layers are
    so many that the image would be too tall, the tallest grids are smaller; raises NotInModel for too many of them.
    """
    if len(outputs) > _MOST_LAYERS:
        raise NotInModel(
            f"layer: {len(outputs)} layers make something of the image, and at most {_MOST_LAYERS} are drawn together; "
            "name one of them"
        )
    # What is no number at all, after an overflow in the model, would have no colour and no height.
    outputs = {name: np.where(np.isfinite(values), values, np.float32(0)) for name, values in outputs.items()}
    tallest = _tallest_mosaic(outputs)
    heights = [_height(values, tallest) for values in outputs.values()]
    canvas = Canvas(WIDTH, math.ceil(sum(heights)))
    top = 0.0
    for (name, values), height in zip(outputs.items(), heights, strict=True):
        ensure_time()
        order = strongest_first(values) if strongest else np.arange(values.shape[-1])
        title = f"{name}: {'×'.join(map(str, values.shape))}"
        if values.ndim == 3:
            tiles = values.transpose(2, 0, 1)[order]
            columns = columns_for(len(tiles))
            width = width_for(height, len(tiles), values.shape[:2], columns)
            draw_mosaic(canvas, top, tiles, order.tolist(), columns, fitting_scale(tiles), title, width)
        else:
            canvas.words(MARGIN, top + 36, title, TITLE_SIZE, INK)
            box = Box(MARGIN + 64, top + 54, WIDTH - 2 * MARGIN - 74, height - 104)
            edges = np.arange(len(values) + 1) - 0.5
            draw_bars(canvas, box, values[order], edges, _numbers(order, strongest=strongest))
        top += height
    return canvas.encoded(form)


def _height(values: Floats, tallest: float) -> float:
    if values.ndim != 3:
        return _VECTOR_HEIGHT
    count = values.shape[2]
    return min(max(tallest, _LEAST_MOSAIC), mosaic_height(count, values.shape[:2], columns_for(count)))


def _tallest_mosaic(outputs: Mapping[str, Floats]) -> float:
    """How tall a grid may be for all sections to fit: those that are less tall leave the others their room."""
    ordered = sorted(_height(values, math.inf) for values in outputs.values() if values.ndim == 3)
    room = _TALLEST - _VECTOR_HEIGHT * (len(outputs) - len(ordered))
    for place, height in enumerate(ordered):
        share = room / (len(ordered) - place)
        if height > share:
            return share
        room -= height
    return math.inf


def _numbers(order: npt.NDArray[np.intp], *, strongest: bool) -> list[tuple[float, str]]:
    """Which numbers stand below the bars, and where."""
    if strongest or len(order) <= _MOST_NUMBERS:
        return [(float(place), str(number)) for place, number in enumerate(order[:_MOST_NUMBERS])]
    return [(number, as_words(number)) for number in round_numbers(0, len(order) - 1, 8)]
