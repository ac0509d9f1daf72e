"""Images of what each layer makes of one image. Knows neither Keras nor HTTP."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from models.charts import INK, TRAINING_COLOUR, save_figure
from models.plot_format import PlotFormat
from service.explain.drawing.mosaic import WIDTH, columns_for, draw_mosaic, fitting_scale, mosaic_height

Floats = npt.NDArray[np.float32]

_VECTOR_HEIGHT = 2.2
_TALLEST = 40.0


def strongest_first(values: Floats) -> npt.NDArray[np.intp]:
    """The numbers of the maps (height, width, channels) or values (units,), the one of the highest mean first."""
    means = values.mean(axis=(0, 1)) if values.ndim == 3 else values
    return np.argsort(-means, kind="stable")


def draw_feature_maps(outputs: Mapping[str, Floats], form: PlotFormat, *, strongest: bool) -> bytes:
    """One section for each layer: a grid of its maps (height, width, channels), or its values (units,) as bars.

    In the order of the model's channels, or with the `strongest` first; each map has its number.
    """
    heights = [
        mosaic_height(values.shape[2], values.shape[:2], columns_for(values.shape[2]))
        if values.ndim == 3
        else _VECTOR_HEIGHT
        for values in outputs.values()
    ]
    total = sum(heights)
    figure = Figure(figsize=(WIDTH, min(_TALLEST, total)), layout="constrained")
    sections = figure.subplots(len(outputs), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (name, values) in zip(sections, outputs.items(), strict=True):
        order = strongest_first(values) if strongest else np.arange(values.shape[-1])
        title = f"{name}: {'×'.join(map(str, values.shape))}"
        if values.ndim == 3:
            tiles = values.transpose(2, 0, 1)[order]
            columns = columns_for(len(tiles))
            draw_mosaic(figure, axes, tiles, order.tolist(), columns, fitting_scale(tiles), title)
        else:
            axes.bar(range(len(values)), values[order], color=TRAINING_COLOUR, width=0.9)
            axes.set_title(title, fontsize=11, color=INK, loc="left")
            axes.margins(x=0.01)
            axes.spines[["top", "right"]].set_visible(False)
            if len(values) <= 20 or strongest:
                shown = range(min(len(values), 20))
                axes.set_xticks(shown, [str(order[place]) for place in shown], fontsize=7)
    return save_figure(figure, form)
