"""Going on with a run that was ended at any moment of an epoch's end, as a kill ends it: no epoch is lost or counted
twice, and the checkpoint is that of the epoch which the history names the best.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import callbacks
from rich.console import Console

from models.card import ModelCard
from tests.samples import sample_split
from training import backup, fit, recipe
from training.errors import Interrupted, TrainingError
from training.settings import TrainingSettings

QUIET = Console(quiet=True)
EPOCHS = 3

# Keras's CSVLogger leaves closing its file to the end of the process.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def settings_in(folder: Path, **given: object) -> TrainingSettings:
    small = {"epochs": EPOCHS, "filters": (4, 8), "dense": 16, "learning_rate": 0.01, "patience": EPOCHS}
    return TrainingSettings(output=folder / "net.h5", runs_dir=folder / "runs", **(small | given))


def the_end(*_: object) -> None:
    raise KeyboardInterrupt


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def in_backup(path: Path) -> bool:
    return path.parent.name == backup.FOLDER


# A moment: what is called there, which of its calls count, and what becomes of the file before all ends.
Moment = tuple[Any, str, Callable[[Path], bool], Callable[[Path], None]]
MOMENTS: dict[str, Moment] = {
    "half of the backup is written": (keras.Model, "save_weights", lambda _: True, halve),
    "the backup is written beside": (keras.Model, "save_weights", lambda _: True, lambda _: None),
    "the backup is in its place": (backup, "replace_whole", in_backup, lambda _: None),
    "half of the checkpoint is written": (keras.Model, "save", lambda _: True, halve),
    "the checkpoint is written beside": (keras.Model, "save", lambda _: True, lambda _: None),
    "the history is written": (callbacks.CSVLogger, "on_epoch_end", lambda _: True, lambda _: None),
    "the checkpoint is in its place": (backup, "replace_whole", lambda path: not in_backup(path), lambda _: None),
}


@contextmanager
def ended_when(monkeypatch: pytest.MonkeyPatch, moment: str, epoch: int) -> Iterator[None]:
    """All ends at the `moment` of the `epoch`, the first being 1."""
    owner, name, counts, change = MOMENTS[moment]
    usual, calls = getattr(owner, name), []

    def called(*given: Any, **named: Any) -> None:
        usual(*given, **named)
        # A function is given the path first, a method second, and the history none.
        path = next((Path(value) for value in given if isinstance(value, str | Path)), Path())
        if counts(path):
            calls.append(path)
            if len(calls) == epoch:
                change(path)
                the_end()

    with monkeypatch.context() as context:
        context.setattr(owner, name, called)
        yield
    assert len(calls) == epoch


def validation_loss_of(checkpoint: Path) -> float:
    split = sample_split()
    network = keras.saving.load_model(checkpoint, compile=False)
    probabilities = network.predict(split.validation_pictures / np.float32(255), verbose=0)
    return float(-np.log(probabilities[np.arange(len(probabilities)), split.validation_labels]).mean())


def go_on(settings: TrainingSettings) -> ModelCard:
    card = fit.run(settings.model_copy(update={"resume": True}), sample_split(), QUIET)
    (run_dir,) = settings.runs_dir.iterdir()
    assert card.training is not None
    assert [epoch.epoch for epoch in card.training.history] == list(range(1, EPOCHS + 1))
    best = min(epoch.validation_loss for epoch in card.training.history)
    # A network that was fitted with bfloat16 is judged a little differently in float32.
    assert validation_loss_of(run_dir / recipe.CHECKPOINT) == pytest.approx(best, rel=0.02)
    assert not list(run_dir.glob(".*"))
    assert not (run_dir / backup.FOLDER).exists()
    return card


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        *(("textbook", moment) for moment in MOMENTS),
        ("strong", "the backup is in its place"),
        ("strong", "the history is written"),
    ],
)
def test_a_run_that_ended_in_its_second_epoch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, moment: str
) -> None:
    settings = settings_in(tmp_path, recipe=name)
    with ended_when(monkeypatch, moment, 2), pytest.raises(Interrupted, match="--resume goes on"):
        fit.run(settings, sample_split(), QUIET)
    go_on(settings)


def test_a_run_that_ended_after_its_last_epoch_is_published_without_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    with ended_when(monkeypatch, "the history is written", EPOCHS), pytest.raises(Interrupted):
        fit.run(settings, sample_split(), QUIET)
    (run_dir,) = settings.runs_dir.iterdir()
    before = recipe.read_history(run_dir)
    go_on(settings)
    assert recipe.read_history(run_dir) == before


def test_a_run_that_ended_in_its_first_backup_has_nothing_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    with ended_when(monkeypatch, "half of the backup is written", 1), pytest.raises(Interrupted, match="start it anew"):
        fit.run(settings, sample_split(), QUIET)
    with pytest.raises(TrainingError, match="without --resume"):
        go_on(settings)


def test_a_folder_whose_name_looks_like_a_pattern_is_no_pattern(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "{epoch} {of} }", epochs=1)
    fit.run(settings, sample_split(), QUIET)
    (run_dir,) = settings.runs_dir.iterdir()
    assert (run_dir / recipe.CHECKPOINT).exists()


def test_a_disk_that_is_nearly_full_is_told_before_hdf5_meets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: free)
    with pytest.raises(TrainingError, match=r"No space left on device.*; make room and try again"):
        fit.run(settings_in(tmp_path), sample_split(), QUIET)
    assert not list(tmp_path.rglob("*.weights.h5"))
