"""What the loss of each class counts while fitting, as Keras takes it."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import ImageInput
from tests.samples import sample_split
from training.batches import Batches
from training.data import Split
from training.errors import TrainingError
from training.recipe import HISTORY, class_weight, read_history, training_input
from training.settings import TrainingSettings

TAKEN = ImageInput(height=28, width=28, channels=1, scale=1 / 255)
BALANCED = TrainingSettings(class_weights="balanced", batch_size=1000)


def imbalanced_split() -> Split:
    """Two of the sample's classes are rare."""
    split = sample_split()
    kept = np.flatnonzero((split.training_labels > 1) | (np.arange(len(split.training_labels)) % 5 == 0))
    return dataclasses.replace(
        split, training_pictures=split.training_pictures[kept], training_labels=split.training_labels[kept]
    )


def test_balanced_weights_are_scikit_learns() -> None:
    # compute_class_weight("balanced", …) of scikit-learn is count / (classes × count of the class).
    labels = np.repeat([0, 1, 2], [90, 9, 1]).astype(np.uint8)
    split = dataclasses.replace(sample_split(), class_names=("a", "b", "c"), training_labels=labels)
    assert class_weight(split, BALANCED) == pytest.approx({0: 100 / 270, 1: 100 / 27, 2: 100 / 3})
    assert class_weight(split, TrainingSettings()) is None


@pytest.mark.parametrize("kept", ["in memory", "on disk"])
def test_the_loss_of_fitting_is_weighted_and_that_of_validation_is_not(tmp_path: Path, kept: str) -> None:
    split = imbalanced_split()
    if kept == "on disk":
        on_disk = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=split.training_pictures.shape)
        on_disk[:] = split.training_pictures
        split = dataclasses.replace(split, training_pictures=on_disk)
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])
    network.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    validation = Batches(split.validation_pictures, split.validation_labels, TAKEN)
    history = network.fit(
        **training_input(split, BALANCED, TAKEN),
        validation_data=validation,
        class_weight=class_weight(split, BALANCED),
        verbose=0,
    ).history
    weights = class_weight(split, BALANCED)

    def losses(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        probabilities = network.predict(np.asarray(images) / np.float32(255), verbose=0)
        return -np.log(probabilities[np.arange(len(labels)), labels])

    each = losses(split.training_pictures, split.training_labels)
    expected = np.mean(each * [weights[int(label)] for label in split.training_labels])
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)
    assert history["loss"][0] != pytest.approx(each.mean(), rel=1e-2)
    unweighted = losses(split.validation_pictures, split.validation_labels).mean()
    assert history["val_loss"][0] == pytest.approx(unweighted, rel=1e-4)


@pytest.mark.parametrize("row", ["1,0.5,0.4", "1,0.5,0.4,0.3,0.2", "1,0.5,0.4,0.3,", "1,0.5,0.4,0.3,x\r\n"])
def test_a_row_that_a_full_disk_cut_short_is_told(tmp_path: Path, row: str) -> None:
    columns = "epoch,accuracy,loss,val_accuracy,val_loss\r\n"
    whole = f"{columns}0,0.4,0.5,0.4,0.6\r\n"
    history = tmp_path / HISTORY
    history.write_text(whole + row, newline="")
    with pytest.raises(TrainingError, match=r"history\.csv .* has a last line that .* remove that line"):
        read_history(tmp_path)
    history.write_text(whole, newline="")
    assert [one["val_loss"] for one in read_history(tmp_path)] == [0.6]
    history.write_text(columns.strip(), newline="")
    assert read_history(tmp_path) == []
