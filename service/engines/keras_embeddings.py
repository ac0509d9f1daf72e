"""The embedding of an image in a Keras model: the input of the dense layer that makes the answer. Knows no engine."""

from typing import Any

import keras

# What gives the dense layer's output its last form, and mixes nothing.
_AFTER = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
)
_ACTIVATIONS = ("softmax", "sigmoid")  # layers and operators


def with_embeddings(model: keras.Model) -> keras.Model | None:
    """`model` with two outputs: the embeddings (rows, dimension), and then its own only output, as it was.

    None where no dense layer makes that output of one vector for each image. Models inside the model are opened.
    """
    found = _embedding_and_output(model.outputs[0])
    return None if found is None else keras.Model(model.inputs, list(found))


def _embedding_and_output(output: Any) -> tuple[Any, Any] | None:
    """The embedding as a Keras tensor, and `output`, or one like it that is made by the same call as the embedding."""
    operation, call, index = output._keras_history
    given = operation._inbound_nodes[call].input_tensors
    if len(given) != 1:
        return None
    if isinstance(operation, keras.Model):
        inside = _embedding_and_output(operation.outputs[index])
        return None if inside is None else keras.Model(operation.inputs, list(inside))(given[0])
    if isinstance(operation, keras.layers.Dense):
        embedding = _one_vector(given[0])
        return None if embedding is None else (embedding, output)
    is_after = isinstance(operation, _AFTER) or type(operation).__name__.lower() in _ACTIVATIONS
    before = _embedding_and_output(given[0]) if is_after else None
    if before is None:
        return None
    embedding, same = before
    return embedding, output if same is given[0] else operation(same)


def _one_vector(tensor: Any) -> Any | None:
    """(rows, 1, …, 1, dimension) as (rows, dimension); None of another shape."""
    *others, dimension = tensor.shape[1:]
    if any(size != 1 for size in others):
        return None
    return keras.layers.Reshape((dimension,), name="one_vector_for_each_image")(tensor) if others else tensor
