"""The model as textbooks draw it: feature maps as blocks, to scale. Knows no Keras and no HTTP."""

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from models.charts import INK, MUTED, save_figure
from models.plot_format import PlotFormat
from service.engines.model_summary import LayerSummary, ModelSummary, Shape
from service.explain.layer_words import reading, times

# Inches. One scale for height and width of all maps, one for their channels.
_TALLEST = 2.6
_WIDEST = 1.1
_THINNEST = 0.05
_COLUMN = 1.42
_VECTOR_WIDTH = 0.14
_LINE = 0.19
# Cabinet projection: depth runs to the upper right, at half its length.
_DEPTH_X, _DEPTH_Y = 0.5 * math.cos(math.radians(40)), 0.5 * math.sin(math.radians(40))
_MOST_DOTS = 16_000

_COLOURS = {"input": "#c9d1da", "Conv": "#6f9bd1", "Pool": "#eda268", "Dense": "#85b98a", "Flatten": "#b7c6a5"}
_OTHER = "#b3a5cf"


@dataclass(frozen=True)
class _Stage:
    """One block: what comes out of a layer, drawn at `left` on the ground line."""

    title: str
    facts: tuple[str, ...]
    shape: tuple[int, ...]
    colour: str
    window: tuple[int, ...] | None  # the kernel or pooling window that reads the block before


@dataclass(frozen=True)
class _Scale:
    per_pixel: float
    per_channel: float
    longest_vector: int


def draw_blocks(summary: ModelSummary, form: PlotFormat) -> bytes:
    """Input and every layer that changes the shape, left to right, with its shape, kernel, stride and parameters.

    Height and width of maps share one linear scale and channels another; vectors are drawn on a logarithmic one, since
    3,136 and 10 values would not fit one image. Layers that leave the shape as it is are named under the block they
    follow. Branches of a model are drawn in the order of its layers.
    """
    stages = _stages(summary)
    scale = _scale(stages)
    figure = Figure(figsize=(1, 1))
    axes = figure.add_axes((0, 0, 1, 1))
    left, anchor = 0.25, None
    ceiling = _TALLEST * (1 + _DEPTH_Y) + 0.02 + max(4, *(len(stage.facts) for stage in stages)) * _LINE
    for stage in stages:
        width, height, depth = _size(stage.shape, scale)
        span = width + depth * _DEPTH_X
        column = max(_COLUMN, span + 0.35)
        x = left + (column - span) / 2
        if anchor is not None:
            _draw_link(axes, anchor, stage, x, height, depth, scale)
        _draw_block(axes, stage.colour, x, width, height, depth)
        _draw_words(axes, stage, left + column / 2, ceiling)
        anchor = (x + width, height, depth)
        left += column
    axes.text(
        left / 2,
        -0.78,
        f"{summary.parameters:,} parameters. Height and width to one scale, channels to another; vectors logarithmic.",
        ha="center",
        fontsize=9,
        color=MUTED,
    )
    bottom, top = -1.0, ceiling + 0.32
    axes.set(xlim=(0, left + 0.25), ylim=(bottom, top), aspect="equal")
    axes.axis("off")
    figure.set_size_inches(left + 0.25, top - bottom)
    return save_figure(figure, form, min(144, int(_MOST_DOTS / (left + 0.25))))


def _stages(summary: ModelSummary) -> list[_Stage]:
    stages = [_Stage("Input", (), _known(summary.input_shape), _COLOURS["input"], None)]
    for layer in summary.layers:
        shape = _known(layer.output_shape)
        if shape == stages[-1].shape and not layer.parameters and len(stages) > 1:
            before = stages[-1]
            note = f"{layer.type} {layer.dropout:g}" if layer.dropout is not None else layer.type
            stages[-1] = _Stage(before.title, (*before.facts, note), before.shape, before.colour, before.window)
        else:
            colour = next((colour for kind, colour in _COLOURS.items() if kind in layer.type), _OTHER)
            window = layer.kernel_size or layer.pool_size
            stages.append(_Stage(layer.type, _facts(layer), shape, colour, window))
    return stages


def _facts(layer: LayerSummary) -> tuple[str, ...]:
    facts = [*reading(layer)]
    if layer.activation and layer.activation != "linear":
        facts.append(layer.activation)
    if layer.parameters:
        facts.append(f"{layer.parameters:,} parameters")
    return tuple(facts)


def _scale(stages: list[_Stage]) -> _Scale:
    maps = [stage.shape for stage in stages if len(stage.shape) == 3]
    vectors = [stage.shape[0] for stage in stages if len(stage.shape) == 1]
    return _Scale(
        per_pixel=_TALLEST / max((max(shape[:2]) for shape in maps), default=1),
        per_channel=_WIDEST / max((shape[2] for shape in maps), default=1),
        longest_vector=max(vectors, default=2),
    )


def _size(shape: tuple[int, ...], scale: _Scale) -> tuple[float, float, float]:
    """Width, height and depth of a block in inches."""
    if len(shape) == 3:
        height, width, channels = shape
        return max(_THINNEST, channels * scale.per_channel), height * scale.per_pixel, width * scale.per_pixel
    return _VECTOR_WIDTH, max(0.15, _TALLEST * math.log(max(2, shape[0])) / math.log(scale.longest_vector + 1)), 0.0


def _draw_block(axes: Axes, colour: str, x: float, width: float, height: float, depth: float) -> None:
    dx, dy = depth * _DEPTH_X, depth * _DEPTH_Y
    front = [(x, 0), (x + width, 0), (x + width, height), (x, height)]
    top = [(x, height), (x + width, height), (x + width + dx, height + dy), (x + dx, height + dy)]
    side = [(x + width, 0), (x + width + dx, dy), (x + width + dx, height + dy), (x + width, height)]
    for corners, shade in ((front, 1.0), (top, 0.55), (side, 0.8)):
        axes.add_patch(Polygon(corners, facecolor=_tinted(colour, shade), edgecolor="white", linewidth=0.8))


def _draw_link(
    axes: Axes, anchor: tuple[float, float, float], stage: _Stage, x: float, height: float, depth: float, scale: _Scale
) -> None:
    """From the block before to this one: its window, to scale on the side that shows height × width, or an arrow."""
    right, tall, deep = anchor
    target = (x + depth * _DEPTH_X / 2, height / 2 + depth * _DEPTH_Y / 2)
    if not (stage.window and len(stage.window) == 2 and deep):
        start = (right + deep * _DEPTH_X + 0.08, tall / 2)
        arrow = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.0}
        axes.annotate("", xy=(x - 0.06, height / 2), xytext=start, arrowprops=arrow)
        return
    rows, columns = (size * scale.per_pixel for size in stage.window)
    z, y = deep * 0.45, tall * 0.5
    corners = [
        (right + along * _DEPTH_X, up + along * _DEPTH_Y)
        for along, up in ((z, y), (z + columns, y), (z + columns, y + rows), (z, y + rows))
    ]
    axes.add_patch(Polygon(corners, facecolor="white", edgecolor=INK, linewidth=0.9, zorder=3))
    for corner in corners[1:3]:
        axes.plot(*zip(corner, (min(target[0], x), target[1]), strict=True), color=INK, linewidth=0.6, zorder=2.5)


def _draw_words(axes: Axes, stage: _Stage, x: float, top: float) -> None:
    axes.text(x, top, stage.title, ha="center", fontsize=10, fontweight="bold", color=INK)
    for line, fact in enumerate(stage.facts):
        axes.text(x, top - _LINE * (line + 1), fact, ha="center", fontsize=8, color=INK)
    axes.text(x, -0.3, times(stage.shape), ha="center", fontsize=10, color=INK)


def _known(shape: Shape) -> tuple[int, ...]:
    return tuple(size or 1 for size in shape)


def _tinted(colour: str, share: float) -> tuple[float, ...]:
    """`colour` mixed with white."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return tuple(1 - share * (1 - part) for part in parts)
