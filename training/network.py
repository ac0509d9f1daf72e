"""The layers of the network, and nothing else."""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import layers

from training.map_sizes import KERNEL, WINDOW, stride_of_each

_POOLINGS = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}


def build_network(
    height: int,
    width: int,
    channels: int,
    classes: int,
    filters: Sequence[int],
    dense: int,
    dropout: float,
    *,
    padding: Literal["same", "valid"] = "same",
    strides: Sequence[int] = (1,),
    pooling: Literal["max", "average"] = "max",
) -> keras.Sequential:
    """A convolutional classifier: float32 (batch, height, width, channels) → probabilities (batch, classes).

    One 3×3 convolution and one 2×2 pooling for each of `filters`, then one dense layer of `dense` units with
    `dropout`, then softmax. `padding` and `strides`, one for all or one for each, are those of the convolutions; the
    pooling windows lie side by side, without padding. With 28×28×1, 10 classes, filters (32, 64), 100 units and the
    defaults it has 333,526 parameters.
    """
    network = keras.Sequential([keras.Input((height, width, channels))])
    for count, stride in zip(filters, stride_of_each(filters, strides), strict=True):
        network.add(layers.Conv2D(count, KERNEL, strides=stride, padding=padding, activation="relu"))
        network.add(_POOLINGS[pooling](WINDOW))
    network.add(layers.Flatten())
    network.add(layers.Dense(dense, activation="relu"))
    network.add(layers.Dropout(dropout))
    network.add(layers.Dense(classes, activation="softmax"))
    return network
