"""The run, top to bottom: data → network → fit → evaluate → publish."""

import math
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from models.card import Data, Epoch, ImageInput, ModelCard, Training
from models.ood import fit_ood_statistics
from training import recipe
from training.base import Base
from training.batches import Batches
from training.calibration import divide_logits, features_and_logits, fit_temperature, softmax
from training.data import Split
from training.errors import Interrupted, TrainingError, reason_of
from training.map_sizes import ensure_large_enough
from training.mlflow_tracking import MlflowTracking
from training.network import build_network
from training.publish import check_writable, publish
from training.report import draw_run, evaluate, print_report
from training.runs import (
    FITTED,
    describe_checkpoint,
    finish,
    interrupted_run,
    left_by_interruption,
    locked,
    new_run,
    recipe_settings,
)
from training.settings import TrainingSettings
from training.transfer import fit_on_base, network_on


def run(settings: TrainingSettings, split: Split, console: Console, base: Base | None = None) -> ModelCard:
    """Fit a network to `split`, on `base` if given, publish it at `settings.output`, and return its card.

    Raises TrainingError or OSError; what stood at `settings.output` before is then still there, whole, unless the text
    says that it is published.
    """
    check_writable(settings.output)
    taken = _check_images(split, settings, base)
    run_dir = (interrupted_run if settings.resume else new_run)(settings, split.sha256)
    with locked(run_dir):
        console.print(
            f"{split.name} from {split.source}: {len(split.training_labels):,} images for training, "
            f"{len(split.validation_labels):,} for validation, {len(split.test_labels):,} for the test",
            soft_wrap=True,
        )
        console.print(f"The run keeps its files in {run_dir}", soft_wrap=True)
        try:
            return _run_in(run_dir, taken, settings, split, console, base)
        except KeyboardInterrupt as error:
            left = left_by_interruption(run_dir, run_dir / recipe.CHECKPOINT, settings.output)
            raise Interrupted(left) from error


def _run_in(
    run_dir: Path, taken: ImageInput, settings: TrainingSettings, split: Split, console: Console, base: Base | None
) -> ModelCard:
    known = ModelCard(name=settings.output.stem, class_names=split.class_names, input=taken)
    describe_checkpoint(run_dir / recipe.CHECKPOINT, known)
    tracking = MlflowTracking(settings, run_dir, console) if settings.mlflow else None
    keras.utils.set_random_seed(settings.seed)
    tf.config.experimental.enable_op_determinism()
    started = time.monotonic()
    if not (run_dir / FITTED).exists():
        if base:
            fit_on_base(_network(split, settings, base), base, split, settings, run_dir, console)
        else:
            _fit_from_scratch(split, settings, run_dir, taken)
        (run_dir / FITTED).touch()
    seconds = time.monotonic() - started

    keras.utils.clear_session()  # its precision, too: what is published is float32, with the layers' usual names
    network = _network(split, settings, base)
    network.load_weights(run_dir / recipe.CHECKPOINT)
    features, logits = features_and_logits(network, Batches(split.validation_pictures, split.validation_labels, taken))
    if settings.recipe == "strong" or base:
        temperature = fit_temperature(softmax(logits), split.validation_labels)
        divide_logits(network, temperature)
        logits = logits / np.float32(temperature)
    tests = network.predict(Batches(split.test_pictures, split.test_labels, taken), verbose=0)
    training = _training_part(settings, recipe.read_history(run_dir), seconds)
    evaluation = evaluate(split, softmax(logits), tests)
    card = ModelCard(
        name=settings.output.stem,
        class_names=split.class_names,
        input=taken,
        data=Data(
            name=split.name,
            sha256=split.sha256,
            training_pictures=len(split.training_labels),
            validation_pictures=len(split.validation_labels),
            test_pictures=len(split.test_labels),
        ),
        training=training,
        evaluation=evaluation,
        familiarity=fit_ood_statistics(features, logits, split.validation_labels),
    )
    publish(network, card, settings.output)
    try:
        finish(run_dir, card)
    except OSError as error:
        raise TrainingError(
            f"{settings.output} is published, but some of the run's files in {run_dir} cannot be written: "
            f"{reason_of(error)}; make room, and the same command with --resume writes them"
        ) from error
    draw_run(run_dir, network, split, tests, training, evaluation, console)
    print_report(training, evaluation, settings.output, run_dir, console)
    if tracking:
        tracking.finish(network, card, settings.output, recipe.read_history(run_dir))
    return card


def _check_images(split: Split, settings: TrainingSettings, base: Base | None) -> ImageInput:
    """What the network is to take. Raises TrainingError where the images are not of that size, or too small for it."""
    height, width, channels = split.training_pictures.shape[1:]
    if base:
        wanted = (base.input.height, base.input.width, base.input.channels)
        if (height, width, channels) != wanted:
            raise TrainingError(
                f"--base takes images of {' × '.join(map(str, wanted))}, and {split.name} has {height} × {width} × "
                f"{channels}; name a folder of images of your own with --data"
            )
        return base.input.model_copy(update={"preparation": split.preparation})
    ensure_large_enough(height, width, settings)
    return ImageInput(
        height=height,
        width=width,
        channels=channels,
        scale=1 / 255,
        fit=settings.fit or "pad",
        preparation=split.preparation,
    )


def _network(split: Split, settings: TrainingSettings, base: Base | None) -> keras.Model:
    classes = len(split.class_names)
    if base:
        return network_on(base, classes, settings)
    height, width, channels = split.training_pictures.shape[1:]
    return build_network(
        height,
        width,
        channels,
        classes,
        settings.filters,
        settings.dense,
        settings.dropout,
        padding=settings.padding,
        strides=settings.strides,
        pooling=settings.pooling,
    )


def _fit_from_scratch(split: Split, settings: TrainingSettings, run_dir: Path, taken: ImageInput) -> None:
    keras.mixed_precision.set_global_policy(recipe.precision(settings))
    network = _network(split, settings, base=None)
    recipe.compile_network(network, settings, math.ceil(len(split.training_labels) / settings.batch_size))
    network.summary()
    recipe.fit(
        network,
        run_dir,
        **recipe.training_input(split, settings, taken),
        validation_data=Batches(split.validation_pictures, split.validation_labels, taken),
        epochs=settings.epochs,
        class_weight=recipe.class_weight(split, settings),
        callbacks=recipe.fit_callbacks(run_dir, settings),
    )


def _training_part(settings: TrainingSettings, history: list[dict[str, float]], seconds: float) -> Training:
    epochs = tuple(
        Epoch(
            epoch=int(row["epoch"]) + 1,
            loss=row["loss"],
            accuracy=row["accuracy"],
            validation_loss=row["val_loss"],
            validation_accuracy=row["val_accuracy"],
        )
        for row in history
    )
    return Training(
        recipe="transfer" if settings.base else settings.recipe,
        settings=recipe_settings(settings),
        history=epochs,
        best_epoch=min(epochs, key=lambda epoch: epoch.validation_loss).epoch,
        seconds=round(seconds, 1),
        versions={"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tf.__version__},
        finished=datetime.now(UTC).replace(microsecond=0),
    )
