"""What a run needs to go on after an interruption at any moment, a kill included. Knows no data and no layers.

An epoch is done when its row is in the history. Whatever goes with it is written before that row, whole, under a name
that has the epoch's number, so that what is found later belongs to the row or is not taken. Keras's own
`BackupAndRestore` writes in place: killed meanwhile, a run would count an epoch twice, or could not go on at all.
"""

import errno
import math
import os
import shutil
from pathlib import Path

import keras

from training.publish import replace_whole

FOLDER = "backup"
_SUFFIX = ".weights.h5"
_FLOAT_BYTES = 4
# What a file has beside its numbers.
_MORE_BYTES = 1 << 20


def is_there(run_dir: Path) -> bool:
    """Whether the run has been left before its end, with something to go on with."""
    return any((run_dir / FOLDER).glob(f"[0-9]*{_SUFFIX}"))


def restore(network: keras.Model, run_dir: Path, done: int) -> bool:
    """Give the compiled `network` its weights and optimizer as they were after `done` epochs, if they were kept."""
    path = _path(run_dir, done)
    if not path.exists():
        return False
    network.optimizer.build(network.trainable_variables)
    network.load_weights(path)
    return True


class Backup(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Keeps weights and optimizer of this epoch and the one before; to be called before the history is written."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__()
        self._run_dir = run_dir

    def on_epoch_end(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        """Keep what there is after this epoch, and no longer what is older than the one before. Raises OSError."""
        path = _path(self._run_dir, epoch + 1)
        beside = path.with_name(f".{path.name}")
        path.parent.mkdir(exist_ok=True)
        _ensure_room(self.model, path.parent)
        self.model.save_weights(beside)
        replace_whole(path, beside)
        for other in path.parent.glob(f"[0-9]*{_SUFFIX}"):
            if other not in {path, _path(self._run_dir, epoch)}:
                other.unlink()

    def on_train_end(self, _logs: dict[str, float] | None = None) -> None:
        """Keep nothing: this fit is over."""
        shutil.rmtree(self._run_dir / FOLDER, ignore_errors=True)


class TakeCheckpoint(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Puts what `ModelCheckpoint` wrote to `pattern` in its place; to be called after the history is written."""

    def __init__(self, checkpoint: Path, done: int) -> None:
        """`done` epochs are in the history."""
        super().__init__()
        self._checkpoint, self._done = checkpoint, done
        # ModelCheckpoint formats all of it, the folder's name too.
        folder = str(checkpoint.parent).replace("{", "{{").replace("}", "}}")
        self.pattern = f"{folder}/.{{epoch}}.{checkpoint.name}"

    def on_train_begin(self, _logs: dict[str, float] | None = None) -> None:
        """Take what an interruption left of the last epoch that is done, and nothing of the one after it."""
        self._take(self._done)
        for left in self._checkpoint.parent.glob(f".[0-9]*.{self._checkpoint.name}"):
            left.unlink()

    def on_epoch_end(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        """Take that of this epoch, if it was the best so far."""
        self._take(epoch + 1)

    def _take(self, epoch: int) -> None:
        beside = self._checkpoint.with_name(f".{epoch}.{self._checkpoint.name}")
        if beside.exists():
            replace_whole(self._checkpoint, beside)


def _ensure_room(network: keras.Model, folder: Path) -> None:
    """Raise OSError where weights, optimizer and checkpoint do not fit: on a full disk HDF5 ends the process badly."""
    weights, state = (
        _FLOAT_BYTES * sum(math.prod(variable.shape) for variable in variables)
        for variables in (network.variables, network.optimizer.variables)
    )
    if shutil.disk_usage(folder).free < 2 * weights + state + _MORE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _path(run_dir: Path, epochs: int) -> Path:
    return run_dir / FOLDER / f"{epochs}{_SUFFIX}"
