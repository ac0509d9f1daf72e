"""Which layers each layer of a Keras model reads, also across models inside of the model."""

from collections.abc import Mapping
from typing import Any

import keras

Inputs = tuple[str, ...]
MODEL_INPUT = ""
_UNKNOWN = object()


def layer_inputs(model: keras.Model, names: Mapping[int, str]) -> dict[str, Inputs]:
    """By name, which layers it reads: their names, or MODEL_INPUT.

    `names` are those of the layers by `id`. A layer is left out where it cannot be told: an operator lies between, or
    it or one that it reads is used more than once.
    """
    calls: dict[tuple[int, int], Any] = {}
    # What a model inside of the model is given for each input layer of its own; None for those of the model itself.
    outside: dict[int, Any] = {id(tensor._keras_history.operation): None for tensor in model.inputs}
    pending = [*model.outputs]
    while pending:
        operation, call, _ = pending.pop()._keras_history
        if (id(operation), call) in calls:
            continue
        calls[id(operation), call] = operation
        given = operation._inbound_nodes[call].input_tensors
        pending += given
        if isinstance(operation, keras.Model):
            pending += operation.outputs
            for own, tensor in zip(operation.inputs, given, strict=False):
                place = id(own._keras_history.operation)
                outside[place] = _UNKNOWN if place in outside else tensor

    def source(tensor: Any) -> Any:
        while tensor is not None and tensor is not _UNKNOWN:
            operation, _, index = tensor._keras_history
            if isinstance(operation, keras.Model):
                tensor = operation.outputs[index]
            elif isinstance(operation, keras.layers.InputLayer):
                tensor = outside.get(id(operation), _UNKNOWN)
            else:
                return names.get(id(operation), _UNKNOWN)
        return tensor

    found: dict[str, Inputs] = {}
    untold, repeated = set[str](), set[str]()
    for (identity, call), operation in calls.items():
        name = names.get(identity)
        if name is None:
            continue
        sources = [source(tensor) for tensor in operation._inbound_nodes[call].input_tensors]
        if name in found:
            repeated.add(name)
        if _UNKNOWN in sources:
            untold.add(name)
        found[name] = tuple(MODEL_INPUT if source is None else source for source in sources)
    return {
        name: inputs for name, inputs in found.items() if name not in untold | repeated and repeated.isdisjoint(inputs)
    }
