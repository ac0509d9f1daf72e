"""An attribution drawn over the model's input and over the image that was sent. Knows neither Keras nor HTTP."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.charts import INK, MUTED, save_figure
from models.plot_format import PlotFormat
from models.preprocessing import PreparedImage

Floats = npt.NDArray[np.float32]


def draw_attribution(prepared: PreparedImage, values: Floats, title: str, form: PlotFormat) -> bytes:
    """`values` (height, width) in colours over both images: red speaks for the class, blue against it."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    sent, taken = figure.subplots(1, 2)
    width, height = prepared.upright.size
    left, top, wide, tall = prepared.frame
    place = (left * width, (left + wide) * width, (top + tall) * height, top * height)
    _draw(sent, np.asarray(prepared.upright.convert("L")), values, place, "over the image that was sent")
    sent.set(xlim=(0, width), ylim=(height, 0))
    rows, columns = values.shape
    grey = prepared.pixels.mean(axis=2)
    image = _draw(taken, grey, values, (0, columns, rows, 0), f"over the {rows}×{columns} that the model saw")
    bar = figure.colorbar(image, ax=(sent, taken), fraction=0.03, pad=0.01)
    bar.outline.set_visible(False)
    if values.min() >= 0:
        bar.ax.set_ylim(0, None)
    bar.ax.tick_params(labelsize=7, colors=MUTED)
    figure.suptitle(title, fontsize=11, color=INK)
    return save_figure(figure, form)


def _draw(
    axes: Axes, grey: npt.NDArray[Any], values: Floats, place: tuple[float, float, float, float], title: str
) -> Any:
    """The image in grey, and over it the values at `place`: left, right, bottom, top in its pixels."""
    highest = float(np.abs(values).max()) or 1.0
    extent = (0, grey.shape[1], grey.shape[0], 0)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")
    # Little says little: the less a pixel counts, the more of the image is prepared through it.
    strength = np.clip(np.abs(values) / highest, 0, 1) * 0.75
    image = axes.imshow(
        values,
        cmap="bwr",
        vmin=-highest,
        vmax=highest,
        alpha=strength,
        extent=place,
        interpolation="nearest",
    )
    axes.set_title(title, fontsize=9, color=INK)
    axes.set_aspect("equal")
    axes.axis("off")
    return image
