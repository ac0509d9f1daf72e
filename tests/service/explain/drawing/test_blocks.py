"""The block image: any model can be drawn, at a size that can be looked at."""

import io

import pytest
from PIL import Image

from service.engines.model_summary import LayerSummary, ModelSummary
from service.explain.drawing.blocks import draw_blocks


def summary_of(input_shape: tuple[int | None, ...], *layers: LayerSummary) -> ModelSummary:
    return ModelSummary(
        name="x", version="0", input_shape=input_shape, layers=layers, parameters=0, trainable_parameters=0
    )


def layer(kind: str, *shape: int, **facts: object) -> LayerSummary:
    return LayerSummary(
        name=kind.lower(), type=kind, output_shape=shape, parameters=facts.pop("parameters", 0), **facts
    )


def test_a_network_without_convolutions_is_drawn() -> None:
    image = draw_blocks(summary_of((28, 28), layer("Flatten", 784), layer("Dense", 10, parameters=7850)), "svg")
    assert b"28\xc3\x9728" in image
    assert b"7,850 parameters" in image


def test_kernel_stride_padding_and_kind_of_pooling_are_named() -> None:
    convolution = layer("Conv2D", 4, 4, 2, kernel_size=(3, 3), strides=(2, 2), padding="same", activation="linear")
    pooling = layer("AveragePooling2D", 3, 3, 2, pool_size=(2, 2), strides=(1, 1), padding="valid")
    image = draw_blocks(summary_of((8, 8, 1), convolution, pooling), "svg").decode()
    for words in ("kernel 3×3", "stride 2×2", "padding same", "average pooling", "window 2×2", "stride 1×1"):
        assert words in image
    assert "padding valid" in image
    assert "linear" not in image


def test_layers_that_leave_the_shape_are_named_under_the_block_before() -> None:
    layers = (layer("Rescaling", 8, 8, 1), layer("Conv2D", 8, 8, 2), layer("Dropout", 8, 8, 2, dropout=0.25))
    image = draw_blocks(summary_of((8, 8, 1), *layers), "svg").decode()
    assert "Dropout 0.25" in image
    assert "Rescaling" in image


@pytest.mark.parametrize("depth", [1, 200])
def test_very_deep_networks_stay_within_a_size_that_can_be_encoded(depth: int) -> None:
    layers = [layer("Conv2D", 224 // (1 + index % 7), 224, 3 + index) for index in range(depth)]
    width, _ = Image.open(io.BytesIO(draw_blocks(summary_of((224, 224, 3), *layers), "png"))).size
    assert width <= 16_000
