"""What a Keras model is made of: layers, shapes and parameters, as data, as a table and as a graph. Knows no HTTP."""

import os

import keras

from service.explain.results import LayerSummary, ModelSummary

_TABLE_WIDTH = 80
_DOTS_PER_INCH = 144


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


def diagram_source(model: keras.Model) -> str:
    """The graph in Graphviz's language. Must be called on the inference thread; drawing it need not be."""
    graph = keras.utils.model_to_dot(model, show_shapes=True, dpi=_DOTS_PER_INCH)
    source: str = graph.to_string()
    return source
