"""The classifier in a Keras model: its one input, the output that is read, the last activation. Knows no card."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from models.card import ModelFileError
from models.head import Activation
from models.reasons import first_line
from service.model_files.input_shape import InputShape, input_shape

# What passes on, or only gives another shape to, what a classifier's last activation made.
_PASSED_ON = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.Permute,
    keras.layers.GlobalAveragePooling2D,
)
_NAMES: dict[str, Activation] = {"softmax": "softmax", "sigmoid": "sigmoid", "linear": "linear"}


class Classifier(NamedTuple):
    """A model of one input and one output (rows, units), and the activation that made it; None for an unknown one."""

    model: keras.Model
    input: InputShape
    units: int
    activation: Activation | None


def classifier_of(model: keras.Model, output: str | None, image_size: tuple[int, int] | None = None) -> Classifier:
    """The classifier that reads the output named `output`, or the only one, of images of `image_size`, if that is told.

    Raises ModelFileError where it is none; the texts say what the model takes and gives.
    """
    if not getattr(model, "inputs", None):
        raise ModelFileError("it was saved without the shape of its input; call it once on an image, and save it again")
    shape = input_shape(model, image_size)
    given = _chosen_output(model, output)
    sizes = [size for size in given.shape[1:] if size != 1] or [1]
    if len(sizes) != 1 or sizes[0] is None:
        raise ModelFileError(
            f"it is no image classifier: it gives {given.shape}, expected (rows, classes) or (rows, 1)"
        )
    activation = last_activation(given)
    if len(given.shape) > 2 or len(model.outputs) > 1:
        flat = keras.layers.Reshape((sizes[0],), name="one_value_for_each_class")(given)
        model = keras.Model(model.inputs, flat, name=model.name)
    return Classifier(model, shape, int(sizes[0]), activation)


def last_activation(tensor: Any) -> Activation | None:
    """What made the values of a Keras tensor: a softmax, a sigmoid, nothing after a sum (`linear`), or None: unknown.

    Models inside the model are opened, and what only passes values on is passed over.
    """
    operation, call, index = tensor._keras_history
    if isinstance(operation, keras.Model):
        return last_activation(operation.outputs[index])
    given = operation._inbound_nodes[call].input_tensors
    if isinstance(operation, _PASSED_ON):
        return last_activation(given[0])
    return _activation_of(operation, given)


def _activation_of(operation: Any, given: list[Any]) -> Activation | None:
    """As `last_activation`, of a layer or operator and what it is given."""
    kind = type(operation).__name__.lower()
    if kind in ("softmax", "sigmoid"):
        return _NAMES[kind]
    activation = getattr(operation, "activation", None)
    if isinstance(operation, keras.layers.Activation) and activation is keras.activations.linear:
        return last_activation(given[0])
    if activation is not None:
        return _NAMES.get(getattr(activation, "__name__", type(activation).__name__).lower())
    before = {_activation_at_once(one) for one in given}
    if isinstance(operation, keras.layers.Average) and len(before) == 1:
        return before.pop()  # a mean of probabilities is one
    sums = (keras.layers.Add, keras.layers.BatchNormalization, keras.layers.Average, keras.layers.Rescaling)
    return "linear" if isinstance(operation, sums) and not before & {"softmax", "sigmoid"} else None


def _activation_at_once(tensor: Any) -> Activation | None:
    """As `last_activation`, but not past further sums: behind each stand two more."""
    operation = tensor._keras_history.operation
    has_one = isinstance(operation, keras.Model) or getattr(operation, "activation", None) is not None
    return last_activation(tensor) if has_one or type(operation).__name__.lower() in _NAMES else None


def output_layer(model: keras.Model) -> keras.layers.Layer:
    """The layer that makes the only output of `model`."""
    return model.outputs[0]._keras_history.operation


def of_fixed_size(model: keras.Model, height: int, width: int) -> keras.Model:
    """The model for batches of any size, of images of just this size. Raises ModelFileError where it cannot be that."""
    taken = model.inputs[0].shape
    wanted = (None, height, width, *taken[3:]) if len(taken) > 2 else (None, *taken[1:])
    if tuple(taken) == wanted:
        return model

    config = model.get_config()
    config.pop("build_input_shape", None)
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = wanted
    try:
        other = type(model).from_config(config)
        other.set_weights(model.get_weights())
        for layer in layers_of(other):
            if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
                layer.finalize_state()  # what it computes with is made of its weights, and not anew when they change
        same = _answer_alike(model, other, (taken[0] or 1, *wanted[1:]))
    except Exception as error:
        raise ModelFileError(
            f"it takes {tuple(taken)}, and cannot be made to take {wanted} ({first_line(error)}); save it so"
        ) from error
    if not same:
        raise ModelFileError(f"it takes {tuple(taken)}, and answers otherwise when it takes {wanted}; save it so")
    return other


def _answer_alike(model: keras.Model, other: keras.Model, shape: tuple[int, ...]) -> bool:
    images = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    own, copied = (np.asarray(one(images, training=False), np.float32) for one in (model, other))
    return bool(np.allclose(own, copied, rtol=1e-3, atol=1e-3, equal_nan=True))


def layers_of(model: keras.Model) -> Iterator[Any]:
    """Its layers from the input on, with those of the models inside of it in their place."""
    for layer in model.layers:
        yield from layers_of(layer) if isinstance(layer, keras.Model) else [layer]


def _chosen_output(model: keras.Model, output: str | None) -> Any:
    names = _output_names(model)
    if output is None:
        if len(model.outputs) == 1:
            return model.outputs[0]
        raise ModelFileError(
            f"it has {len(names)} outputs, {_with_shapes(model)}; say with --output which one is to be read"
        )
    if output in names:
        return model.outputs[names.index(output)]
    raise ModelFileError(f"it has no output {output!r:.60}; there are {_with_shapes(model)}")


def _output_names(model: keras.Model) -> list[str]:
    return [one._keras_history.operation.name for one in model.outputs]


def _with_shapes(model: keras.Model) -> str:
    pairs = zip(_output_names(model), model.outputs, strict=True)
    return ", ".join(f"{name!r} {tuple(one.shape[1:])}" for name, one in pairs)
