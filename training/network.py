"""The layers of the network, and nothing else."""

from collections.abc import Sequence

import keras
from keras import layers


def build_network(
    height: int, width: int, channels: int, classes: int, filters: Sequence[int], dense: int, dropout: float
) -> keras.Sequential:
    """A convolutional classifier: float32 (batch, height, width, channels) → probabilities (batch, classes).

    One 3×3 convolution and one 2×2 max pooling for each of `filters`, then one dense layer of `dense` units with
    `dropout`, then softmax. With 28×28×1, 10 classes, filters (32, 64) and 100 units it has 333,526 parameters.
    """
    network = keras.Sequential([keras.Input((height, width, channels))])
    for count in filters:
        network.add(layers.Conv2D(count, 3, padding="same", activation="relu"))
        network.add(layers.MaxPooling2D(2))
    network.add(layers.Flatten())
    network.add(layers.Dense(dense, activation="relu"))
    network.add(layers.Dropout(dropout))
    network.add(layers.Dense(classes, activation="softmax"))
    return network
