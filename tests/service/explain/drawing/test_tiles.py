"""What is many small maps is drawn right in every pixel, quickly, and at a size that can be looked at."""

import io
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from models.charts import TRAINING_COLOUR
from service.errors import NotInModel
from service.explain.drawing.axis import round_numbers
from service.explain.drawing.feature_maps import draw_feature_maps
from service.explain.drawing.kernel_plot import draw_kernels
from service.explain.drawing.mosaic import MARGIN, WIDTH
from service.explain.results import Kernels

RANDOM = np.random.default_rng(0)
SVG = "{http://www.w3.org/2000/svg}"


def image_of(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def kernels(filters: int, channels: int) -> Kernels:
    weights = np.random.default_rng(0).normal(size=(filters, channels, 3, 3)).astype(np.float32)
    counts, edges = np.histogram(weights, 40)
    return Kernels("conv", None, weights, None, 0.0, 1.0, counts, edges)


def test_each_map_has_its_colours_and_its_place() -> None:
    maps = np.zeros((4, 4, 4), np.float32)
    maps[..., 3] = np.arange(16).reshape(4, 4)
    image = image_of(draw_feature_maps({"conv": maps}, "png", strongest=False))
    colours = (matplotlib.colormaps["viridis"](np.arange(16) / 15, bytes=True))[:, :3].reshape(4, 4, 3)
    # Two columns of 4 pixels with a gap of 1 between them, over the whole width; the last of four at the lower right.
    per_pixel = (WIDTH - 2 * MARGIN) / 9
    for row in range(4):
        for column in range(4):
            x, y = MARGIN + (5.5 + column) * per_pixel, 48 + (5.5 + row) * per_pixel
            assert image.getpixel((round(x), round(y))) == pytest.approx(tuple(colours[row, column]), abs=4)
    assert image.getpixel((round(MARGIN + 4.5 * per_pixel), 200)) == (255, 255, 255)


def test_the_strongest_stand_first_and_keep_their_numbers() -> None:
    values = np.array([0, 3, 1, 2], np.float32)
    root = ElementTree.fromstring(draw_feature_maps({"dense": values}, "svg", strongest=True))
    bars = [rect for rect in root.iter(f"{SVG}rect") if rect.get("fill") == TRAINING_COLOUR]
    heights = [float(bar.get("height", 0)) for bar in bars]
    assert np.array(heights) / heights[0] == pytest.approx([1, 2 / 3, 1 / 3, 0], abs=1e-3)
    below = max(float(text.get("y", 0)) for text in root.iter(f"{SVG}text"))
    assert [text.text for text in root.iter(f"{SVG}text") if float(text.get("y", 0)) == below] == ["1", "3", "2", "0"]


def test_values_below_zero_hang_from_it() -> None:
    root = ElementTree.fromstring(draw_feature_maps({"d": np.array([2, -1], np.float32)}, "svg", strongest=False))
    up, down = (rect for rect in root.iter(f"{SVG}rect") if rect.get("fill") == TRAINING_COLOUR)
    assert float(up.get("y", 0)) + float(up.get("height", 0)) == pytest.approx(float(down.get("y", 0)), abs=0.1)
    assert float(up.get("height", 0)) == pytest.approx(2 * float(down.get("height", 0)), rel=1e-3)


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize(
    "draw",
    [
        lambda form: draw_feature_maps({"a": np.zeros((1, 1, 1), np.float32)}, form, strongest=False),
        lambda form: draw_feature_maps({"a": np.full((2, 3, 5), np.nan, np.float32)}, form, strongest=True),
        lambda form: draw_feature_maps({"a": np.full(3, np.inf, np.float32)}, form, strongest=True),
        lambda form: draw_feature_maps({"<&>": np.zeros(1, np.float32)}, form, strongest=False),
        lambda form: draw_feature_maps({"a": np.zeros((200, 1, 300), np.float32)}, form, strongest=False),
        lambda form: draw_kernels(kernels(1, 1), "fixed", form),
        lambda form: draw_kernels(kernels(256, 128), "symmetric", form),
    ],
)
def test_whatever_comes_is_drawn(draw: Callable[[str], bytes], form: str) -> None:
    content = draw(form)
    assert content == draw(form)
    if form == "svg":
        assert ElementTree.fromstring(content).tag == f"{SVG}svg"
    else:
        assert image_of(content).width == WIDTH


def test_the_channel_that_was_asked_for_is_named() -> None:
    for number in (0, 3):
        drawn = draw_kernels(kernels(8, 1)._replace(channel=number), "fixed", "svg").decode()
        assert f"input channel {number}" in drawn


def test_of_many_layers_the_tallest_are_smaller() -> None:
    outputs = {f"conv{number}": RANDOM.random((14, 14, 64), np.float32) for number in range(20)}
    outputs["dense"] = RANDOM.random(10).astype(np.float32)
    image = image_of(draw_feature_maps(outputs, "png", strongest=False))
    assert image.height <= 5760 + 20


def test_more_layers_than_anybody_looks_at_are_not_drawn() -> None:
    outputs = {str(number): np.zeros(2, np.float32) for number in range(201)}
    with pytest.raises(NotInModel, match=r"201 layers make something .* at most 200 are drawn together; name one"):
        draw_feature_maps(outputs, "png", strongest=False)


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.5, 0.5, [-0.4, -0.2, 0, 0.2, 0.4]),
        (0, 2416, [0, 500, 1000, 1500, 2000]),
        (3, 3, [3]),
        (0, 0.00123, [0, 0.0005, 0.001]),
    ],
)
def test_an_axis_has_round_numbers(low: float, high: float, numbers: list[float]) -> None:
    assert round_numbers(low, high, 6) == pytest.approx(numbers)
