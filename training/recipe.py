"""How the network is fitted: optimizer, loss, data as it is fed, and Keras's callbacks.

Two recipes: the textbook's, and a strong one that takes ten times as long.
"""

import csv
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import callbacks, optimizers

from models.card import ImageInput
from models.preprocessing import scaled
from training.augmentation import augmented
from training.backup import Backup, TakeCheckpoint, restore
from training.batches import Batches, Floats, Images, Labels
from training.data import Split
from training.errors import Diverged, TrainingError, reason_of
from training.mlflow_tracking import TellEpochs
from training.photographed import clothing
from training.settings import TrainingSettings

CHECKPOINT = "best-cnn-model.h5"
HISTORY = "history.csv"
TENSORBOARD = "tensorboard"

_WARM_UP_EPOCHS = 2
_WEIGHT_DECAY = 0.02
# The average of the weights over about the last 500 steps is what is judged and published; in a short run, over the
# last tenth of it.
_AVERAGED_STEPS, _AVERAGED_SHARE = 500, 0.1


def compile_network(network: keras.Model, settings: TrainingSettings, steps: int) -> None:
    """Give the network its optimizer, loss and metric. An epoch has so many `steps`.

    Strong: AdamW with warm-up and cosine decay (Loshchilov and Hutter, 2017, arXiv:1608.03983 and 1711.05101), and an
    exponential moving average of the weights.
    """
    if settings.recipe == "strong":
        warm_up = min(_WARM_UP_EPOCHS, settings.epochs - 1) * steps
        decay = settings.epochs * steps - warm_up
        averaging = 1 - 1 / max(2.0, min(_AVERAGED_STEPS, _AVERAGED_SHARE * settings.epochs * steps))
        rate = optimizers.schedules.CosineDecay(0.0, decay, warmup_target=settings.learning_rate, warmup_steps=warm_up)
        optimizer = optimizers.AdamW(rate, weight_decay=_WEIGHT_DECAY, use_ema=True, ema_momentum=averaging)
    else:
        optimizer = optimizers.Adam(settings.learning_rate)
    network.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def training_input(split: Split, settings: TrainingSettings, taken: ImageInput) -> dict[str, Any]:
    """What `fit` is given: the images as they are, or changed anew in each epoch; scaled as `taken` says."""
    images, labels = split.training_pictures, split.training_labels
    if settings.recipe == "strong":
        change = _clothing if split.preparation == "product-photo" else _changed
        return {"x": Batches(images, labels, taken, settings.batch_size, settings.seed, change)}
    if isinstance(images, np.memmap):
        return {"x": Batches(images, labels, taken, settings.batch_size, settings.seed)}
    return {"x": scaled(images, taken), "y": labels, "batch_size": settings.batch_size}


def class_weight(split: Split, settings: TrainingSettings) -> dict[int, float] | None:
    """What the loss of each class counts while fitting: with `balanced`, all pictures of a class as much as another's.

    As scikit-learn's "balanced": pictures / (classes × pictures of the class), which is 1 on average over the pictures.
    """
    if settings.class_weights == "none":
        return None
    counts = np.bincount(split.training_labels, minlength=len(split.class_names))
    return {label: len(split.training_labels) / (len(counts) * int(count)) for label, count in enumerate(counts)}


def _clothing(images: Images, labels: Labels, random: np.random.Generator) -> Floats:
    return np.stack([clothing(image, int(label), random) for image, label in zip(images, labels, strict=True)])


def _changed(images: Images, _labels: Labels, random: np.random.Generator) -> Floats:
    return np.stack([augmented(image, random) for image in images])


def precision(settings: TrainingSettings) -> str:
    """Keras's policy for fitting: half the time with bfloat16, for the strong recipe where the processor has it."""
    return "mixed_bfloat16" if settings.recipe == "strong" and _processor_has_bfloat16() else "float32"


def fit(network: keras.Model, run_dir: Path, **options: Any) -> None:
    """Keras's `fit`, for a run that keeps its files in `run_dir`; goes on after the last epoch of an interrupted one.

    Raises Diverged, or TrainingError for a full disk.
    """
    done = len(read_history(run_dir))
    if done > options.get("initial_epoch", 0) and restore(network, run_dir, done):
        options["initial_epoch"] = done
    try:
        network.fit(**options)
    except (OSError, RuntimeError) as error:  # HDF5 raises either when it cannot write the rest of a file
        if isinstance(error, RuntimeError) and "errno" not in str(error):
            raise
        raise TrainingError(
            f"the run's files in {run_dir} cannot be written: {reason_of(error)}; make room and try again"
        ) from error
    history = read_history(run_dir)
    if not all(math.isfinite(row["loss"]) for row in history):
        raise Diverged(f"the loss is no longer a number after epoch {len(history)}; try a lower --learning-rate")


def fit_callbacks(run_dir: Path, settings: TrainingSettings, checkpoint: str = CHECKPOINT) -> list[callbacks.Callback]:
    """Keras's own callbacks for a run that keeps its files in `run_dir`, the best weights as `checkpoint`.

    Where `run_dir` holds the history of an interrupted run, its best validation loss is the one to beat: a worse epoch
    neither replaces the checkpoint nor resets the patience.
    """
    history = read_history(run_dir)
    best = min((row["val_loss"] for row in history), default=None)
    take_checkpoint = TakeCheckpoint(run_dir / checkpoint, len(history))
    # The order is what makes an interruption harmless at any moment: backup and checkpoint, history, and then the rest.
    recorders = [
        callbacks.ModelCheckpoint(take_checkpoint.pattern, save_best_only=True, initial_value_threshold=best),
        callbacks.CSVLogger(str(run_dir / HISTORY), append=best is not None),
        take_checkpoint,
        *([callbacks.TensorBoard(run_dir / TENSORBOARD)] if settings.tensorboard else []),
        *([TellEpochs()] if settings.mlflow else []),
    ]
    if settings.recipe == "strong":
        # The backup takes the weights before they are exchanged for their average, which the checkpoint is to have.
        average = callbacks.SwapEMAWeights(swap_on_epoch=True)
        return [callbacks.TerminateOnNaN(), Backup(run_dir), average, *recorders]
    return [
        callbacks.TerminateOnNaN(),
        Backup(run_dir),
        *recorders,
        # The weights that are published come from the checkpoint, so that a resumed run can publish an epoch of before.
        callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True, baseline=best),
    ]


def read_history(run_dir: Path) -> list[dict[str, float]]:
    """The rows of the run's history.csv, one an epoch, with Keras's own column names; empty before the first epoch.

    Raises TrainingError where a full disk cut the last one short.
    """
    path = run_dir / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        lines = file.readlines()
    try:
        return _numbers(lines)
    except (TypeError, ValueError) as error:
        raise TrainingError(
            f"{path} of an interrupted run has a last line that is not whole; expected a number for each column. Make "
            "room, remove that line, and --resume goes on after the epoch before it"
        ) from error


def _numbers(lines: list[str]) -> list[dict[str, float]]:
    """Raises TypeError or ValueError where a row is not whole."""
    if len(lines) > 1 and not lines[-1].endswith("\n"):
        raise ValueError("the last number may lack digits")
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def _processor_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
