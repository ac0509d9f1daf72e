"""What a Keras model does with its input first: the layers and operators on the way from it. Knows no pixels."""

from collections.abc import Iterator
from typing import Any

import keras


def operations_from_input(model: keras.Model) -> Iterator[Any]:
    """The operations one after the other, models opened, as long as each goes to one other only."""
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            yield from operations_from_input(layer) if isinstance(layer, keras.Model) else [layer]
        return
    members, seen = {id(operation) for operation in model.operations}, set[int]()
    operation = model.inputs[0]._keras_history.operation
    while True:
        nodes = operation._outbound_nodes
        following = {id(node.operation): node.operation for node in nodes if id(node.operation) in members}
        if len(following) > 1:
            following = _stacked_again(list(following.values()))
        if len(following) != 1:
            return
        (operation,) = following.values()
        if id(operation) in seen:  # a layer that is called again leads back
            return
        seen.add(id(operation))
        if isinstance(operation, keras.Model):
            yield from operations_from_input(operation)
        else:
            yield operation


def _stacked_again(parts: list[Any]) -> dict[int, Any]:
    """The operation that puts together again what `parts` took apart, as `preprocess_input` does to turn channels."""
    joined = {id(node.operation): node.operation for part in parts for node in part._outbound_nodes}
    kinds = {type(part).__name__ for part in parts}, {type(one).__name__ for one in joined.values()}
    return joined if kinds == ({"GetItem"}, {"Stack"}) else {}
