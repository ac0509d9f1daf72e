"""What a Keras model is made of: its layers by name, those of models inside of it too, and the summary of them."""

import keras

from service.engines.layer_inputs import Inputs, layer_inputs
from service.engines.model_summary import LayerSummary, ModelSummary


def named_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The layers from the input on, by name; in the place of a model inside of the model stand that one's own.

    One of those whose name another layer has already is named after the models that it is in, too: `body/conv`.
    """
    found = _with_paths(model, ())
    own = {path[0] for path, _ in found if len(path) == 1}
    layers: dict[str, keras.layers.Layer] = {}
    for path, layer in found:
        *above, name = path
        layers["/".join(path) if above and (name in own or name in layers) else name] = layer
    return layers


def _with_paths(model: keras.Model, above: tuple[str, ...]) -> list[tuple[tuple[str, ...], keras.layers.Layer]]:
    found = []
    for layer in model.layers:
        path = (*above, layer.name)
        if isinstance(layer, keras.Model):
            found += _with_paths(layer, path)
        elif not isinstance(layer, keras.layers.InputLayer):
            found.append((path, layer))
    return found


def summarize(model: keras.Model, name: str, version: str) -> ModelSummary:
    """The summary of a built model, called `name`, of the file of that `version`."""
    layers = named_layers(model)
    inputs = layer_inputs(model, {id(layer): name for name, layer in layers.items()})
    return ModelSummary(
        name=name,
        version=version,
        input_shape=model.input_shape[1:],
        layers=tuple(summarize_layer(name, layer, inputs.get(name)) for name, layer in layers.items()),
        parameters=model.count_params(),
        trainable_parameters=sum(int(keras.ops.size(weight)) for weight in model.trainable_weights),
    )


def summarize_layer(name: str, layer: keras.layers.Layer, inputs: Inputs | None = None) -> LayerSummary:
    """The summary of one built layer, called `name`, which reads `inputs`."""
    activation = getattr(layer, "activation", None)
    made = [tensor for tensor in keras.tree.flatten(getattr(layer, "output", None)) if hasattr(tensor, "shape")]
    return LayerSummary(
        name=name,
        type=type(layer).__name__,
        inputs=inputs,
        output_shape=tuple(made[0].shape[1:]) if made else (),
        parameters=layer.count_params(),
        filters=getattr(layer, "filters", None),
        units=getattr(layer, "units", None),
        kernel_size=_numbers(getattr(layer, "kernel_size", None)),
        pool_size=_numbers(getattr(layer, "pool_size", None)),
        strides=_numbers(getattr(layer, "strides", None)),
        dilation_rate=_numbers(getattr(layer, "dilation_rate", None)),
        groups=getattr(layer, "groups", None),
        padding=_padding(layer),
        # A layer can stand in the place of a function.
        activation=None if activation is None else getattr(activation, "__name__", type(activation).__name__),
        max_value=_number(getattr(layer, "max_value", None)),
        negative_slope=_number(getattr(layer, "negative_slope", None)),
        threshold=_number(getattr(layer, "threshold", None)),
        dropout=layer.rate if isinstance(layer, keras.layers.Dropout) else None,
    )


def _numbers(value: object) -> tuple[int, ...] | None:
    return tuple(value) if isinstance(value, (tuple, list)) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _padding(layer: keras.layers.Layer) -> str | None:
    padding = getattr(layer, "padding", None)
    return padding if padding is None or isinstance(padding, str) else str(padding)
