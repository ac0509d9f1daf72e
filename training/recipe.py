"""How the network is fitted: optimizer, loss, data as it is fed, and Keras's callbacks.

Two recipes: the textbook's, and a strong one that takes ten times as long.
"""

import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import callbacks, optimizers

from training.augmentation import augmented
from training.batches import Batches, Images
from training.data import Split
from training.photographed import clothing
from training.settings import TrainingSettings

CHECKPOINT = "best-cnn-model.h5"
HISTORY = "history.csv"
BACKUP = "backup"

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


def training_input(split: Split, settings: TrainingSettings, scale: float) -> dict[str, Any]:
    """What `fit` is given: the images as they are, or changed anew in each epoch; each pixel times `scale`."""
    images, labels = split.training_pictures, split.training_labels
    if settings.recipe == "strong":
        change = clothing if split.preparation == "product-photo" else _changed
        return {"x": Batches(images, labels, scale, settings.batch_size, settings.seed, change)}
    if isinstance(images, np.memmap):
        return {"x": Batches(images, labels, scale, settings.batch_size, settings.seed)}
    return {"x": images * np.float32(scale), "y": labels, "batch_size": settings.batch_size}


def _changed(image: Images, _label: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    return augmented(image, random)


def precision(settings: TrainingSettings) -> str:
    """Keras's policy for fitting: half the time with bfloat16, for the strong recipe where the processor has it."""
    return "mixed_bfloat16" if settings.recipe == "strong" and _processor_has_bfloat16() else "float32"


def fit_callbacks(run_dir: Path, settings: TrainingSettings) -> list[callbacks.Callback]:
    """Keras's own callbacks for a run that keeps its files in `run_dir`.

    Where `run_dir` holds the history of an interrupted run, its best validation loss is the one to beat: a worse epoch
    neither replaces the checkpoint nor resets the patience.
    """
    best = best_validation_loss(run_dir)
    backup = callbacks.BackupAndRestore(str(run_dir / BACKUP), double_checkpoint=True)
    recorders = [
        callbacks.ModelCheckpoint(str(run_dir / CHECKPOINT), save_best_only=True, initial_value_threshold=best),
        callbacks.CSVLogger(str(run_dir / HISTORY), append=best is not None),
    ]
    if settings.recipe == "strong":
        # The backup takes the weights before they are exchanged for their average, which the checkpoint is to have.
        return [callbacks.TerminateOnNaN(), backup, callbacks.SwapEMAWeights(swap_on_epoch=True), *recorders]
    return [
        callbacks.TerminateOnNaN(),
        *recorders,
        # The weights that are published come from the checkpoint, so that a resumed run can publish an epoch of before.
        callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True, baseline=best),
        backup,
    ]


def read_history(run_dir: Path) -> list[dict[str, float]]:
    """The rows of the run's history.csv, one an epoch, with Keras's own column names; empty before the first epoch."""
    path = run_dir / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def best_validation_loss(run_dir: Path) -> float | None:
    """The lowest validation loss in the run's history, or None before the first epoch."""
    return min((row["val_loss"] for row in read_history(run_dir)), default=None)


def _processor_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
