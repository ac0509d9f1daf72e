"""Changes thumbnails as people's own images differ from those of the data set. Knows no network and no files."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Image = npt.NDArray[np.float32]
Random = np.random.Generator


def augmented(image: Images, random: Random) -> Image:
    """One image, uint8 (height, width, channels), as float32 0 to 255: mirrored, moved, turned, lit, partly hidden.

    Hiding a part is random erasing (Zhong and others, 2017, arXiv:1708.04896).
    """
    height, width, channels = image.shape
    changed: Any = image.astype(np.float32)
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
