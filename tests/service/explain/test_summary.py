"""The summary of models other than the textbook's; that one is tested through its route."""

import io
import re
import shutil

import keras
import pytest
from keras import layers
from PIL import Image

from service.engines.keras_summary import summarize
from service.explain.drawing.diagram import draw_diagram
from service.explain.summary import diagram_source, summary_table


def functional_network() -> keras.Model:
    image = keras.Input((6, 6, 3))
    left = layers.SeparableConv2D(2, 3, strides=2, padding="same", activation="relu")(image)
    right = layers.AveragePooling2D(2)(layers.Conv2D(2, 1)(image))
    pooled = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(layers.Add()([left, right])))
    return keras.Model(image, layers.Dense(2, activation="softmax")(pooled))


def test_a_functional_network_is_summarized() -> None:
    model = functional_network()
    summary = summarize(model, "x", "0")
    assert [entry.type for entry in summary.layers] == [layer.__class__.__name__ for layer in model.layers[1:]]
    assert summary.input_shape == (6, 6, 3)
    assert summary.parameters == model.count_params()
    assert summary.parameters - summary.trainable_parameters == 4  # the moving mean and variance
    separable = next(entry for entry in summary.layers if entry.type == "SeparableConv2D")
    assert (separable.strides, separable.kernel_size, separable.output_shape) == ((2, 2), (3, 3), (3, 3, 2))


def test_what_varies_has_no_size() -> None:
    model = keras.Sequential([keras.Input((None, None, 1)), layers.ZeroPadding2D(1), layers.GlobalMaxPooling2D()])
    padding = summarize(model, "x", "0").layers[0]
    assert padding.output_shape == (None, None, 1)
    assert padding.padding == "((1, 1), (1, 1))"


def test_one_dimensional_sizes_are_sizes_too() -> None:
    model = keras.Sequential([keras.Input((8, 2)), layers.Conv1D(3, 2)])
    assert summarize(model, "x", "0").layers[0].kernel_size == (2,)


def test_the_table_does_not_depend_on_the_terminal(monkeypatch) -> None:
    model = functional_network()
    monkeypatch.setenv("COLUMNS", "30")
    assert "Param #" in summary_table(model)


def test_the_graph_tells_kernel_stride_padding_and_kind_of_pooling() -> None:
    stack = [
        keras.Input((12, 12, 1)),
        layers.Conv2D(2, 3, strides=2, name="conv"),
        layers.AveragePooling2D(2, name="pool"),
    ]
    source = diagram_source(keras.Sequential([*stack, layers.Flatten(), layers.Dense(2)]))
    assert source.count("kernel 3×3, stride 2×2, padding valid") == 1
    assert source.count("average pooling, window 2×2, stride 2×2, padding valid") == 1
    assert source.count("stride") == 2
    if shutil.which("dot"):
        assert b"average pooling, window 2" in draw_diagram(source, "svg")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_the_whole_graph_is_in_view_as_svg_and_fine_as_png() -> None:
    source = diagram_source(functional_network())
    drawing = draw_diagram(source, "svg").decode()
    width, height = map(float, re.findall(r'viewBox="\S+ \S+ (\S+) (\S+)"', drawing)[0])
    points = re.findall(r"points=\"([^\"]+)\"", drawing)
    corners = [tuple(map(float, corner.split(","))) for each in points for corner in each.split()]
    scale = float(re.findall(r"scale\((\S+) ", drawing)[0])
    assert scale * max(x for x, _ in corners) <= width
    assert scale * -min(y for _, y in corners) <= height
    assert Image.open(io.BytesIO(draw_diagram(source, "png"))).width > 1.9 * width


def test_what_a_layer_reads_is_told_and_nothing_where_one_is_used_twice() -> None:
    image = keras.Input((8, 8, 3))
    twice = layers.ReLU(6.0, name="twice")
    own = layers.ReLU(threshold=0.5)
    conv = layers.Conv2D(3, 3, dilation_rate=2, groups=3, padding="same", activation=own, name="conv")(image)
    added = layers.Add(name="added")([image, twice(twice(conv))])
    summary = summarize(keras.Model(image, layers.Dropout(0.1, name="last")(added)), "x", "0")
    found = {layer.name: layer for layer in summary.layers}
    assert {name: layer.inputs for name, layer in found.items()} == {
        "conv": ("",),
        "twice": None,
        "added": None,
        "last": ("added",),
    }
    assert (found["conv"].dilation_rate, found["conv"].groups) == ((2, 2), 3)
    assert (found["conv"].activation, found["added"].activation) == ("ReLU", None)
    assert summarize(keras.Sequential([image, own]), "x", "0").layers[0].threshold == 0.5
    assert (found["twice"].max_value, found["twice"].negative_slope) == (6.0, 0.0)
