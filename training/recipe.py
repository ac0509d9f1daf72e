"""How the network is fitted: optimizer, loss, and Keras's callbacks. Knows no data."""

import csv
from pathlib import Path

import keras
from keras import callbacks

from training.settings import TrainingSettings

NAME = "textbook"
CHECKPOINT = "best-cnn-model.h5"
HISTORY = "history.csv"
BACKUP = "backup"


def compile_network(network: keras.Model, settings: TrainingSettings) -> None:
    """Give the network its optimizer, loss and metric."""
    network.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def fit_callbacks(run_dir: Path, settings: TrainingSettings) -> list[callbacks.Callback]:
    """Keras's own callbacks for a run that keeps its files in `run_dir`.

    Where `run_dir` holds the history of an interrupted run, its best validation loss is the one to beat: a worse epoch
    neither replaces the checkpoint nor resets the patience.
    """
    best = best_validation_loss(run_dir)
    return [
        callbacks.TerminateOnNaN(),
        callbacks.ModelCheckpoint(str(run_dir / CHECKPOINT), save_best_only=True, initial_value_threshold=best),
        callbacks.CSVLogger(str(run_dir / HISTORY), append=best is not None),
        # The weights that are published come from the checkpoint, so that a resumed run can publish an epoch of before.
        callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True, baseline=best),
        callbacks.BackupAndRestore(str(run_dir / BACKUP), double_checkpoint=True),
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
