"""Changes thumbnails as people's own pictures differ from those of the data set. Knows no network and no files."""

import math
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Random = np.random.Generator


class AugmentedBatches(keras.utils.PyDataset):  # type: ignore[misc] # Keras has no types
    """All training pictures once an epoch, in another order and changed in another way each time."""

    def __init__(self, pictures: Pictures, labels: Labels, batch_size: int, scale: float, seed: int) -> None:
        """`pictures` are uint8 (count, height, width, channels); each pixel of a batch is multiplied by `scale`."""
        super().__init__()
        self._pictures, self._labels = pictures, labels
        self._batch_size, self._scale, self._seed = batch_size, np.float32(scale), seed
        self._epoch = -1
        self.on_epoch_end()

    def __len__(self) -> int:
        """How many batches there are."""
        return math.ceil(len(self._labels) / self._batch_size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[np.float32], Labels]:
        """Batch `number`: float32 (batch, height, width, channels) and its labels."""
        chosen = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        random = np.random.default_rng([self._seed, self._epoch, number])
        batch = np.stack([augmented(picture, random) for picture in self._pictures[chosen]])
        return batch * self._scale, self._labels[chosen]

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._epoch += 1
        self._order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._labels))


def augmented(picture: Pictures, random: Random) -> Picture:
    """One picture, uint8 (height, width, channels), as float32 0 to 255: mirrored, moved, turned, lit, partly hidden.

    Hiding a part is random erasing (Zhong and others, 2017, arXiv:1708.04896).
    """
    height, width, channels = picture.shape
    changed: Any = picture.astype(np.float32)
    if random.random() < 0.5:
        changed = changed[:, ::-1]
    if random.random() < 0.7:
        matrix: Any = cv2.getRotationMatrix2D(
            ((width - 1) / 2, (height - 1) / 2), random.normal(0, 4), random.uniform(0.9, 1.06)
        )
        matrix[:, 2] += random.uniform(-1.5, 1.5, 2)
        changed = cv2.warpAffine(np.ascontiguousarray(changed), matrix, (width, height), flags=cv2.INTER_LINEAR)
        changed = changed.reshape(height, width, channels)
    if random.random() < 0.3:
        changed = 255 * (changed / 255) ** np.float32(random.uniform(0.75, 1.35)) * np.float32(random.uniform(0.85, 1))
    if random.random() < 0.2:
        soft = cv2.GaussianBlur(np.ascontiguousarray(changed), (0, 0), 0.8).reshape(changed.shape)
        changed = (changed + random.uniform(-0.7, 0.7) * (changed - soft)).clip(0, 255)
    if random.random() < 0.4:
        changed = np.array(changed)
        tall, wide = (max(1, int(edge * random.uniform(0.15, 0.45))) for edge in (height, width))
        top, left = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
        changed[top : top + tall, left : left + wide] = random.uniform(0, 255)
    return np.asarray(changed, np.float32)
