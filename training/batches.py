"""Feeds images to Keras batch by batch, so that a set may be larger than memory. Knows no files."""

import math
from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt

from models.card import ImageInput
from models.preprocessing import scaled

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Change = Callable[[Images, Labels, np.random.Generator], Floats]


class Batches(keras.utils.PyDataset):  # type: ignore[misc] # Keras has no types
    """All images once, in order; with a seed, in another order in each epoch, and changed anew by `change`.

    That makes of uint8 images (batch, height, width, channels) and their labels float32 of the same shape, 0 to 255.
    """

    def __init__(
        self,
        images: Images,
        labels: Labels,
        taken: ImageInput,
        batch_size: int = 256,
        seed: int | None = None,
        change: Change | None = None,
    ) -> None:
        """`images` are uint8 (count, height, width, channels); `taken` says how the network takes their pixels."""
        super().__init__()
        self._images, self._labels = images, labels
        self._taken, self._batch_size = taken, batch_size
        self._seed, self._change = seed, change
        self._epoch = -1
        self.on_epoch_end()

    def __len__(self) -> int:
        """How many batches there are."""
        return math.ceil(len(self._labels) / self._batch_size)

    def __getitem__(self, number: int) -> tuple[Floats, Labels]:
        """Batch `number`: float32 (batch, height, width, channels) and its labels."""
        chosen = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        images, labels = self._images[chosen], self._labels[chosen]
        if self._change is None:
            return scaled(images, self._taken), labels
        random = np.random.default_rng([self._seed or 0, self._epoch, number])
        return scaled(self._change(images, labels, random), self._taken), labels

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._epoch += 1
        count = len(self._labels)
        if self._seed is None:
            self._order = np.arange(count)
        else:
            self._order = np.random.default_rng([self._seed, self._epoch]).permutation(count)
