"""Real images: 200 of Fashion-MNIST's test set as PNG, twenty of each class, named CLASS-NAME-INDEX.png."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image

from models.card import FASHION_MNIST_CLASS_NAMES
from training.data import SYSTEM_DIR, Split, split_indices

ROOT = Path(__file__).parent.parent
SHIPPED_MODEL = ROOT / "models" / "best-cnn-model.h5"
SAMPLE_FILES = sorted((ROOT / "tests" / "fashion-mnist-sample").glob("*.png"))
ANKLE_BOOT = SAMPLE_FILES[-20]
# Each model is converted once for all tests, as it is for all starts of a service.
CONVERTED = ROOT / ".pytest_cache" / "converted"
DRAWINGS = sorted((ROOT / "tests" / "drawings").glob("*.png"))

pillow_heif.register_heif_opener()  # `encoded` writes HEIC, too


def left_out_without(present: bool, what: str) -> pytest.MarkDecorator:
    """Skip where `what` is not installed, but never in CI: there the test fails instead."""
    return pytest.mark.skipif(not present and "CI" not in os.environ, reason=f"needs {what}")


needs_full_set = left_out_without(SYSTEM_DIR.is_dir(), "Debian's package dataset-fashion-mnist")


def label_of(file: Path) -> int:
    return int(file.name.partition("-")[0])


def pixels_of(file: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(file))


def sample_split() -> Split:
    """The sample as a Split: 120 images for training, 40 for validation, 40 for the test."""
    images = np.stack([pixels_of(file) for file in SAMPLE_FILES])[..., np.newaxis]
    labels = np.array([label_of(file) for file in SAMPLE_FILES], np.uint8)
    chosen, held_out = split_indices(len(labels), 0.4, 42)
    return Split(
        name="sample",
        source="tests",
        sha256="0" * 64,
        class_names=FASHION_MNIST_CLASS_NAMES,
        training_pictures=images[chosen],
        training_labels=labels[chosen],
        validation_pictures=images[held_out[:40]],
        validation_labels=labels[held_out[:40]],
        test_pictures=images[held_out[40:]],
        test_labels=labels[held_out[40:]],
    )


def encoded(pixels: Any, form: str = "PNG", **options: Any) -> bytes:
    """An array or a Pillow image as the bytes of a file of format `form`."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()
