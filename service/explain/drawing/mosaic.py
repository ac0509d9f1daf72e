"""Many small maps side by side in one image. Knows neither Keras nor HTTP."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt

from models.charts import INK, MUTED
from service.explain.drawing.axis import TICK_SIZE, as_words, round_numbers
from service.explain.drawing.canvas import Anchor, Box, Canvas, Pixels

Floats = npt.NDArray[Any]

WIDTH = 1152
MARGIN = 16
TITLE_SIZE = 22.0
_INSIDE = WIDTH - 2 * MARGIN
_ABOVE, _BELOW = 48.0, 90.0  # the title; the bar of colours and its numbers
_BAR = 20.0
_NAME_SIZE = 11.0
_MOST_NAMES = 128
_COLOURS = 256


class Scale(NamedTuple):
    """Which value has which colour: matplotlib's colour map, from `low` to `high`."""

    colours: str
    low: float
    high: float


def fitting_scale(values: Floats) -> Scale:
    """From dark for 0 to light for the highest value; where some are negative, blue for them and red for the others."""
    highest = float(np.abs(values).max()) or 1.0
    return Scale("RdBu_r", -highest, highest) if values.min() < 0 else Scale("viridis", 0.0, highest)


def columns_for(count: int) -> int:
    """How many of `count` tiles stand in a row: a power of two, so that 32 and 64 of them fill their rows."""
    return min(count, 1 << math.ceil(math.log2(max(1.0, math.sqrt(count)))))


def mosaic_height(count: int, shape: tuple[int, int], columns: int, width: float = _INSIDE) -> float:
    """Pixels that `draw_mosaic` needs, for `count` tiles of (height, width) side by side over that width."""
    rows, height, breadth = math.ceil(count / columns), shape[0] + 1, shape[1] + 1
    return _ABOVE + _BELOW + (rows * height - 1) * width / (columns * breadth - 1)


def width_for(height: float, count: int, shape: tuple[int, int], columns: int) -> float:
    """The width for which `mosaic_height` is at most `height`, if that is less than the whole."""
    room = max(1.0, height - _ABOVE - _BELOW)
    whole = mosaic_height(count, shape, columns) - _ABOVE - _BELOW
    return _INSIDE * min(1.0, room / whole)


def draw_mosaic(
    canvas: Canvas,
    top: float,
    tiles: Floats,
    names: Sequence[object],
    columns: int,
    scale: Scale,
    title: str,
    width: float = _INSIDE,
) -> None:
    """Draw `tiles` (count, height, width), each with its name, and a bar that tells their colours."""
    canvas.words(MARGIN, top + _ABOVE - 12, title, TITLE_SIZE, INK)
    joined = _joined(tiles, columns, scale)
    per_pixel = width / joined.shape[1]
    box = Box(MARGIN, top + _ABOVE, width, joined.shape[0] * per_pixel)
    canvas.picture(box, joined)
    height, breadth = tiles.shape[1:]
    shown = names if len(names) <= _MOST_NAMES and breadth * per_pixel > 2 * _NAME_SIZE else ()
    for number, name in enumerate(shown):
        left = box.left + number % columns * (breadth + 1) * per_pixel
        above = box.top + number // columns * (height + 1) * per_pixel
        badge = Box(left, above, 5 + 0.64 * _NAME_SIZE * len(str(name)), _NAME_SIZE + 4)
        canvas.rectangle(badge, INK, 0.65)
        canvas.words(left + 2, above + _NAME_SIZE, str(name), _NAME_SIZE, "#ffffff")
    _draw_scale(canvas, Box(MARGIN, box.top + box.height + 22, _INSIDE, _BAR), scale)


def _draw_scale(canvas: Canvas, box: Box, scale: Scale) -> None:
    canvas.picture(box, _colours(scale.colours)[np.newaxis])
    below = box.top + box.height
    for number in round_numbers(scale.low, scale.high, 8):
        x = box.left + (number - scale.low) / (scale.high - scale.low) * box.width
        canvas.rectangle(Box(min(x, box.left + box.width - 1), below, 1, 5), MUTED)
        anchor: Anchor = "start" if x < box.left + 20 else "end" if x > box.left + box.width - 20 else "middle"
        canvas.words(x, below + 6 + TICK_SIZE, as_words(number), TICK_SIZE, MUTED, anchor)


def _joined(tiles: Floats, columns: int, scale: Scale) -> Pixels:
    """One picture, with a white line between any two tiles."""
    count, height, width = tiles.shape
    rows = math.ceil(count / columns)
    whole = np.full((rows * (height + 1), columns * (width + 1), 3), 255, np.uint8)
    places = np.nan_to_num((tiles - scale.low) / (scale.high - scale.low) * _COLOURS, posinf=_COLOURS)
    coloured = _colours(scale.colours)[np.clip(places, 0, _COLOURS - 1).astype(np.uint8)]
    for number, tile in enumerate(coloured):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        whole[top : top + height, left : left + width] = tile
    return whole[:-1, :-1]


@cache
def _colours(name: str) -> Pixels:
    """The colours of matplotlib's map of that name, uint8 (256, 3)."""
    return np.asarray(matplotlib.colormaps[name](np.arange(_COLOURS) / (_COLOURS - 1), bytes=True)[:, :3], np.uint8)
