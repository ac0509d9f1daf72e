"""What a Keras model is made of: layers, shapes and parameters, as data and as a table. Knows no HTTP."""

import os
from typing import Annotated

import keras
from pydantic import BaseModel, ConfigDict, Field

Shape = tuple[int | None, ...]

_TABLE_WIDTH = 80


class LayerSummary(BaseModel):
    """One layer. What a layer does not have is null."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: Annotated[str, Field(description="Keras's class", examples=["Conv2D"])]
    output_shape: Annotated[
        Shape, Field(description="without the batch; null where it varies", examples=[[28, 28, 32]])
    ]
    parameters: Annotated[int, Field(examples=[320])]
    filters: int | None = None
    units: int | None = None
    kernel_size: tuple[int, ...] | None = None
    pool_size: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    padding: Annotated[str | None, Field(examples=["same"])] = None
    activation: Annotated[str | None, Field(examples=["relu"])] = None
    dropout: Annotated[float | None, Field(description="share of values dropped while training")] = None


class ModelSummary(BaseModel):
    """A model's layers, first to last, and its totals."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    name: str
    version: Annotated[str, Field(description="first 12 hex digits of the file's SHA-256")]
    input_shape: Annotated[Shape, Field(description="height, width, channels", examples=[[28, 28, 1]])]
    layers: tuple[LayerSummary, ...]
    parameters: Annotated[int, Field(examples=[333526])]
    trainable_parameters: int


def summarize(model: keras.Model, name: str, version: str) -> ModelSummary:
    """The summary of a built model. Must be called on the inference thread."""
    return ModelSummary(
        name=name,
        version=version,
        input_shape=model.input_shape[1:],
        layers=tuple(_layer(layer) for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)),
        parameters=model.count_params(),
        trainable_parameters=sum(int(keras.ops.size(weight)) for weight in model.trainable_weights),
    )


def summary_table(model: keras.Model) -> str:
    """Keras's own table, as `model.summary()` prints it. Must be called on the inference thread."""
    # Keras cuts the table to the width of the terminal that the service was started in; rich reads this first.
    os.environ["COLUMNS"] = str(_TABLE_WIDTH)
    lines: list[str] = []
    model.summary(line_length=_TABLE_WIDTH, print_fn=lambda text, **_: lines.append(text))
    return "\n".join(lines) + "\n"


def _layer(layer: keras.layers.Layer) -> LayerSummary:
    activation = getattr(layer, "activation", None)
    return LayerSummary(
        name=layer.name,
        type=type(layer).__name__,
        output_shape=tuple(layer.output.shape[1:]),
        parameters=layer.count_params(),
        filters=getattr(layer, "filters", None),
        units=getattr(layer, "units", None),
        kernel_size=_numbers(getattr(layer, "kernel_size", None)),
        pool_size=_numbers(getattr(layer, "pool_size", None)),
        strides=_numbers(getattr(layer, "strides", None)),
        padding=_padding(layer),
        activation=getattr(activation, "__name__", None),
        dropout=layer.rate if isinstance(layer, keras.layers.Dropout) else None,
    )


def _numbers(value: object) -> tuple[int, ...] | None:
    return tuple(value) if isinstance(value, (tuple, list)) else None


def _padding(layer: keras.layers.Layer) -> str | None:
    padding = getattr(layer, "padding", None)
    return padding if padding is None or isinstance(padding, str) else str(padding)
