"""Fits new last layers to a pretrained network, then all of it, a little. Knows no files of images.

First the network stays as it is: what it makes of each image is computed once, and only a dense head is fitted to
that. Then, where that is wanted, all of it is fitted at a low rate. Both as in Keras's guide "Transfer learning &
fine-tuning" (Chollet, 2020); normalization keeps the means of what the network was pretrained on.
"""

import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import keras
from keras import layers, optimizers
from rich.console import Console

from training import recipe
from training.base import Base, layers_of
from training.batches import Batches
from training.data import Split
from training.features import FrozenFeatures
from training.photo_augmentation import PhotoAugmentation
from training.publish import replace_whole
from training.runs import HEAD_FITTED
from training.settings import TrainingSettings

FEATURES = "features"
_HEAD_CHECKPOINT = "head.h5"


def network_on(base: Base, classes: int, settings: TrainingSettings) -> keras.Model:
    """`base` with a new head: float32 (batch, height, width, channels) → probabilities (batch, classes).

    The layers of `base` and their weights are not copied.
    """
    features = base.body.output
    for layer in _head(base, classes, settings):
        features = layer(features)
    return keras.Model(base.body.inputs[0], features, name=settings.output.stem)


def fit_on_base(
    network: keras.Model, base: Base, split: Split, settings: TrainingSettings, run_dir: Path, console: Console
) -> None:
    """Fit `network`, made by `network_on`, and leave its best weights and its history in `run_dir`, as the recipe does.

    Raises TrainingError, OSError.
    """
    checkpoint, mark = run_dir / recipe.CHECKPOINT, run_dir / HEAD_FITTED
    if not mark.exists():
        head = _fit_head(base, split, settings, run_dir, console)
        for layer, fitted in zip(network.layers[-len(head.layers) :], head.layers, strict=True):
            layer.set_weights(fitted.get_weights())
        beside = run_dir / f".{recipe.CHECKPOINT}"
        network.save(beside)
        replace_whole(checkpoint, beside)
        mark.write_text(str(len(recipe.read_history(run_dir))))
        (run_dir / _HEAD_CHECKPOINT).unlink()
    if settings.fine_tune_epochs:
        network.load_weights(checkpoint)
        for layer in layers_of(base.body):
            layer.trainable = not isinstance(layer, layers.BatchNormalization)
        network.compile(
            optimizers.Adam(settings.fine_tune_learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        first, augmentation = int(mark.read_text()), PhotoAugmentation()
        console.print(
            f"Fine-tuning all of the network, {network.count_params():,} parameters, from epoch {first + 1} on"
        )
        recipe.fit(
            network,
            run_dir,
            x=Batches(
                split.training_pictures,
                split.training_labels,
                base.input,
                settings.batch_size,
                settings.seed,
                lambda images, _labels, random: augmentation(images, random),
            ),
            validation_data=Batches(split.validation_pictures, split.validation_labels, base.input),
            initial_epoch=first,
            epochs=first + settings.fine_tune_epochs,
            class_weight=recipe.class_weight(split, settings),
            callbacks=recipe.fit_callbacks(run_dir, settings),
        )


def _fit_head(base: Base, split: Split, settings: TrainingSettings, run_dir: Path, console: Console) -> keras.Model:
    """The head alone, fitted to what `base` makes of the images."""
    features = FrozenFeatures(base, settings.runs_dir / FEATURES, console)
    known = features("Features of training images", split.training_pictures)
    validation = features("Features of validation images", split.validation_pictures)
    head = keras.Sequential([keras.Input(known.shape[1:]), *_head(base, len(split.class_names), settings)])
    recipe.compile_network(head, settings, math.ceil(len(known) / settings.batch_size))
    recipe.fit(
        head,
        run_dir,
        x=known,
        y=split.training_labels,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        validation_data=(validation, split.validation_labels),
        class_weight=recipe.class_weight(split, settings),
        callbacks=recipe.fit_callbacks(run_dir, settings, _HEAD_CHECKPOINT),
    )
    head.load_weights(run_dir / _HEAD_CHECKPOINT)
    return head


def _head(base: Base, classes: int, settings: TrainingSettings) -> Iterator[keras.layers.Layer]:
    """New last layers, with names that `base` has not."""
    taken = {layer.name for layer in base.body.layers}

    def free(name: str) -> str:
        return next(other for number in count(1) if (other := f"{name}_{number}" if number > 1 else name) not in taken)

    yield layers.Dense(settings.dense, activation="relu", name=free("dense"))
    yield layers.Dropout(settings.dropout, name=free("dropout"))
    yield layers.Dense(classes, activation="softmax", name=free("predictions"))
