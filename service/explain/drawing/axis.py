"""Bars over a line with numbers, and where numbers stand on such a line. Knows neither Keras nor HTTP."""

import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from models.charts import INK, TRAINING_COLOUR
from service.explain.drawing.canvas import Box, Canvas

Floats = npt.NDArray[Any]

TICK_SIZE = 15.0
_TICK = 6.0
_HEADROOM = 0.05


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """The multiples of 1, 2 or 5 times a power of ten from `low` to `high`, of which there are no more than `most`."""
    if not high > low:
        return [low]
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def as_words(number: float) -> str:
    """A number as it is written in an image, with a minus as wide as a plus."""
    return f"{number:.6g}".replace("-", "−")


def draw_bars(canvas: Canvas, box: Box, heights: Floats, edges: Floats, numbers: Sequence[tuple[float, str]]) -> None:
    """A bar of each of the `heights` between its two `edges`, which has one more; `numbers` stand below their places.

    Heights below 0 hang from the line of 0.
    """
    low, high = min(0.0, float(heights.min(initial=0))), max(0.0, float(heights.max(initial=0)))
    high = high + _HEADROOM * (high - low) if high > low else low + 1.0

    def x(value: float) -> float:
        return float(box.left + (value - edges[0]) / (edges[-1] - edges[0]) * box.width)

    def y(value: float) -> float:
        return box.top + (high - value) / (high - low) * box.height

    for height, left, right in zip(heights.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        top, bottom = y(max(height, 0)), y(min(height, 0))
        canvas.rectangle(Box(x(left), top, x(right) - x(left), bottom - top), TRAINING_COLOUR)
    canvas.rectangle(Box(box.left, box.top, 1.5, box.height), INK)
    canvas.rectangle(Box(box.left, y(0), box.width, 1.5), INK)
    for number in round_numbers(low, high, 6):
        canvas.rectangle(Box(box.left - _TICK, y(number), _TICK, 1.5), INK)
        canvas.words(box.left - _TICK - 4, y(number) + TICK_SIZE / 3, as_words(number), TICK_SIZE, INK, "end")
    below = box.top + box.height
    for place, words in numbers:
        canvas.rectangle(Box(x(place), below, 1.5, _TICK), INK)
        canvas.words(x(place), below + _TICK + TICK_SIZE, words, TICK_SIZE, INK, "middle")
