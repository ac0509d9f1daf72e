"""Training images are changed anew each time, and stay what they are."""

import numpy as np

from models.card import ImageInput
from tests.samples import SAMPLE_FILES, label_of, pixels_of
from training.augmentation import augmented
from training.batches import Batches

IMAGES = np.stack([pixels_of(file) for file in SAMPLE_FILES])[..., np.newaxis]
LABELS = np.array([label_of(file) for file in SAMPLE_FILES], np.uint8)


TAKEN = ImageInput(height=28, width=28, channels=1, scale=1 / 255)


def change(images: np.ndarray, _labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.stack([augmented(image, random) for image in images])


def test_each_epoch_has_every_label_once_in_another_order() -> None:
    batches = Batches(IMAGES, LABELS, TAKEN, 64, 1, change)
    assert len(batches) == 4
    epochs = []
    for _ in range(2):
        parts = [batches[number] for number in range(len(batches))]
        assert [len(images) for images, _ in parts] == [64, 64, 64, 8]
        epochs.append(np.concatenate([labels for _, labels in parts]))
        batches.on_epoch_end()
    assert np.array_equal(*map(np.sort, epochs))
    assert not np.array_equal(*epochs)


def test_the_same_seed_gives_the_same_images_and_each_epoch_others() -> None:
    first, second = (Batches(IMAGES, LABELS, TAKEN, 64, 1, change) for _ in range(2))
    assert np.array_equal(first[2][0], second[2][0])
    second.on_epoch_end()
    assert not np.array_equal(first[2][0], second[2][0])


def test_pictures_are_scaled_float32_of_the_same_shape() -> None:
    images, _ = Batches(IMAGES, LABELS, TAKEN, 200, 1, change)[0]
    assert images.shape == IMAGES.shape
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert 0.9 < images.max() <= 1.001


def test_a_changed_image_is_like_itself_or_its_mirror_image() -> None:
    alike = []
    for number, image in enumerate(IMAGES):
        changed = augmented(image, np.random.default_rng(number))
        alike.append(max(np.corrcoef(changed.ravel(), way.ravel())[0, 1] for way in (image, image[:, ::-1])))
    assert np.median(alike) > 0.8
    assert sum(value == 1 for value in alike) < 40  # most are changed
