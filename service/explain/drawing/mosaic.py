"""Many small maps side by side in one image. Knows neither Keras nor HTTP."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.charts import INK, MUTED

Floats = npt.NDArray[Any]

WIDTH = 8.0
_AROUND = 1.0  # inches: title above, bar of colours below
_MOST_NAMES = 128


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


def mosaic_height(count: int, shape: tuple[int, int], columns: int) -> float:
    """Inches that `draw_mosaic` needs of a figure `WIDTH` wide, for `count` tiles of (height, width)."""
    rows = math.ceil(count / columns)
    per_column = WIDTH / (columns * (shape[1] + 1))
    return per_column * rows * (shape[0] + 1) + _AROUND


def draw_mosaic(
    figure: Figure, axes: Axes, tiles: Floats, names: Sequence[object], columns: int, scale: Scale, title: str
) -> None:
    """Draw `tiles` (count, height, width), each with its name, and a bar that tells their colours."""
    image = axes.imshow(
        _joined(tiles, columns), cmap=scale.colours, vmin=scale.low, vmax=scale.high, interpolation="nearest"
    )
    axes.axis("off")
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    height, width = tiles.shape[1:]
    for number, name in enumerate(names if len(names) <= _MOST_NAMES else ()):
        axes.annotate(
            str(name),
            (number % columns * (width + 1) - 0.5, number // columns * (height + 1) - 0.5),
            xytext=(1.5, -1.5),
            textcoords="offset points",
            va="top",
            fontsize=5.5,
            color="white",
            bbox={"facecolor": INK, "edgecolor": "none", "pad": 0.8, "alpha": 0.65},
        )
    bar: Any = figure.colorbar(image, ax=axes, orientation="horizontal", fraction=0.03, pad=0.02, aspect=50)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, colors=MUTED)


def _joined(tiles: Floats, columns: int) -> Floats:
    """One array, with a line of nothing (not a number) between any two tiles."""
    count, height, width = tiles.shape
    rows = math.ceil(count / columns)
    whole = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        whole[top : top + height, left : left + width] = tile
    return whole
