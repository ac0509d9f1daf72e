"""The run, top to bottom: data → network → fit → evaluate → publish."""

import json
import math
import platform
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf
from rich.console import Console

from models.card import Data, Epoch, ImageInput, ModelCard, Training
from models.ood import fit_ood_statistics
from models.printable import printable
from training import recipe
from training.batches import Batches
from training.calibration import divide_logits, features_and_logits, fit_temperature
from training.data import Split, load_fashion_mnist, load_mnist
from training.errors import Diverged, TrainingError, reason_of
from training.folder import load_folder
from training.network import build_network
from training.publish import check_writable, publish
from training.report import draw_run, evaluate, print_report
from training.settings import TrainingSettings

SCALE = 1 / 255
_MOST_TOLD = 20
SETTINGS_FILE = "settings.json"
# What may differ between an interrupted run and the one that goes on with it.
_FREE_ON_RESUME = {"epochs", "data_dir", "data", "output", "runs_dir", "resume"}


def load(settings: TrainingSettings, console: Console) -> Split:
    """What `--data` names. Files of a folder that cannot be read are told on `console`. Raises DataError."""
    if settings.data == "fashion-mnist":
        return load_fashion_mnist(settings.data_dir, settings.validation_share, settings.seed)
    if settings.data == "mnist":
        return load_mnist(settings.validation_share, settings.seed)
    edge, channels = settings.image_size, settings.channels
    wanted = ImageInput(height=edge, width=edge, channels=channels, scale=SCALE)
    split, left_out = load_folder(Path(settings.data), wanted, settings.validation_share, settings.seed)
    if left_out:
        console.print(f"{len(left_out):,} of the files cannot be read and are left out:")
        for file in left_out[:_MOST_TOLD]:
            console.print(printable(f"  {file.path}: {file.reason}"), soft_wrap=True, markup=False)
        if len(left_out) > _MOST_TOLD:
            console.print(f"  and {len(left_out) - _MOST_TOLD:,} more")
    return split


def run(settings: TrainingSettings, split: Split, console: Console) -> ModelCard:
    """Fit the network to `split`, publish it at `settings.output`, and return its card.

    Raises TrainingError or OSError; what stood at `settings.output` before is then still there, whole.
    """
    check_writable(settings.output)
    height, width, channels = split.training_pictures.shape[1:]
    if min(height, width) < 2 ** len(settings.filters):
        raise TrainingError(
            f"--filters names {len(settings.filters)} convolutions, each followed by a pooling of 2, and images of "
            f"{height}×{width} are too small for that; name fewer"
        )
    run_dir = _interrupted_run(settings) if settings.resume else _new_run(settings)
    console.print(
        f"{split.name} from {split.source}: {len(split.training_labels):,} images for training, "
        f"{len(split.validation_labels):,} for validation, {len(split.test_labels):,} for the test",
        soft_wrap=True,
    )
    console.print(f"The run keeps its files in {run_dir}", soft_wrap=True)

    keras.utils.set_random_seed(settings.seed)
    tf.config.experimental.enable_op_determinism()
    build = partial(
        build_network,
        height,
        width,
        channels,
        len(split.class_names),
        settings.filters,
        settings.dense,
        settings.dropout,
    )
    keras.mixed_precision.set_global_policy(recipe.precision(settings))
    network = build()
    recipe.compile_network(network, settings, math.ceil(len(split.training_labels) / settings.batch_size))
    network.summary()

    started = time.monotonic()
    _fit(
        network,
        run_dir,
        **recipe.training_input(split, settings, SCALE),
        validation_data=Batches(split.validation_pictures, split.validation_labels, SCALE),
        epochs=settings.epochs,
        callbacks=recipe.fit_callbacks(run_dir, settings),
    )
    seconds = time.monotonic() - started

    history = recipe.read_history(run_dir)
    if not all(math.isfinite(row["loss"]) for row in history):
        raise Diverged(f"the loss is no longer a number after epoch {len(history)}; try a lower --learning-rate")
    keras.utils.clear_session()  # its precision, too: what is published is float32, with the layers' usual names
    network = build()
    network.load_weights(run_dir / recipe.CHECKPOINT)
    if settings.recipe == "strong":
        _calibrate(network, split)
    recipe.compile_network(network, settings, steps=1)
    training = _training_part(settings, history, seconds)
    evaluation = evaluate(network, split, SCALE)
    inside = features_and_logits(network, Batches(split.validation_pictures, split.validation_labels, SCALE))
    card = ModelCard(
        name=settings.output.stem,
        class_names=split.class_names,
        input=ImageInput(height=height, width=width, channels=channels, scale=SCALE, preparation=split.preparation),
        data=Data(
            name=split.name,
            sha256=split.sha256,
            training_pictures=len(split.training_labels),
            validation_pictures=len(split.validation_labels),
            test_pictures=len(split.test_labels),
        ),
        training=training,
        evaluation=evaluation,
        familiarity=fit_ood_statistics(*inside, split.validation_labels),
    )
    publish(network, card, settings.output)
    draw_run(run_dir, network, split.class_names, training, evaluation, console)
    print_report(training, evaluation, settings.output, run_dir, console)
    return card


def _calibrate(network: keras.Model, split: Split) -> None:
    probabilities = network.predict(Batches(split.validation_pictures, split.validation_labels, SCALE), verbose=0)
    divide_logits(network, fit_temperature(probabilities, split.validation_labels))


def _fit(network: keras.Model, run_dir: Path, **options: object) -> None:
    try:
        network.fit(**options)
    except RuntimeError as error:  # what HDF5 raises when it cannot write the rest of a checkpoint
        if "errno" not in str(error):
            raise
        raise TrainingError(
            f"the run's files in {run_dir} cannot be written: {reason_of(error)}; make room and try again"
        ) from error


def _new_run(settings: TrainingSettings) -> Path:
    run_dir = settings.runs_dir / datetime.now().strftime("%Y-%m-%d_%H-%M-%S.%f")
    run_dir.mkdir(parents=True)
    (run_dir / SETTINGS_FILE).write_text(json.dumps(_recipe_settings(settings), indent=2) + "\n")
    return run_dir


def _interrupted_run(settings: TrainingSettings) -> Path:
    """The latest run that was interrupted after its first epoch. Raises TrainingError where there is none that fits."""
    backups = sorted(settings.runs_dir.glob(f"*/{recipe.BACKUP}/training_metadata.json"))
    if not backups:
        raise TrainingError(f"no run in {settings.runs_dir} was interrupted; start one without --resume")
    run_dir = backups[-1].parent.parent
    before, now = json.loads((run_dir / SETTINGS_FILE).read_text()), _recipe_settings(settings)
    for name in sorted(before.keys() - _FREE_ON_RESUME):
        if before[name] != now.get(name):
            raise TrainingError(
                f"the run in {run_dir} was started with {name} = {before[name]}, not {now.get(name)}; "
                "go on with the same settings, or start a new run without --resume"
            )
    return run_dir


def _recipe_settings(settings: TrainingSettings) -> dict[str, object]:
    return settings.model_dump(mode="json", exclude={"data_dir", "output", "runs_dir", "resume"})


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
        recipe=settings.recipe,
        settings=_recipe_settings(settings),
        history=epochs,
        best_epoch=min(epochs, key=lambda epoch: epoch.validation_loss).epoch,
        seconds=round(seconds, 1),
        versions={"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tf.__version__},
        finished=datetime.now(UTC).replace(microsecond=0),
    )
