"""The right answers, told by Keras itself and by nothing of the service."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from models.file_version import file_version
from tests.samples import SAMPLE_FILES, pixels_of

IMAGES = [file.read_bytes() for file in SAMPLE_FILES]

# A version, and its probabilities of each image in IMAGES.
Right = dict[str, list[list[float]]]


def answers_of(model: Path) -> Right:
    images = np.stack([pixels_of(file) for file in SAMPLE_FILES])[..., np.newaxis] / np.float32(255)
    rows = keras.saving.load_model(model, compile=False).predict(images, verbose=0).tolist()
    assert len({tuple(f"{value:.2g}" for value in row) for row in rows}) == len(rows)  # they can be told apart
    return {file_version(model): rows}


def is_right(found: Sequence[float], expected: Sequence[float]) -> bool:
    return len(found) == len(expected) and all(
        abs(one - other) <= max(1e-5, 1e-3 * abs(other)) for one, other in zip(found, expected, strict=True)
    )
