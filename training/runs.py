"""The folder in which a run keeps its files, and which run can be gone on with. Knows no network."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from models.card import ModelCard
from training import backup
from training.errors import TrainingError
from training.settings import TrainingSettings

try:
    import fcntl
except ImportError:  # on Windows, where nobody is kept from going on with a run that is not over
    fcntl = None  # type: ignore[assignment]

SETTINGS_FILE = "settings.json"
DATA_FILE = "data-sha256"
# Marks of a run that is not over: the head on a base is fitted, and the checkpoint has it; all fitting is done.
HEAD_FITTED = "head-fitted"
FITTED = "fitted"
_CARD = "card.json"

_PLACES = {"data_dir", "output", "runs_dir", "resume", "tensorboard", "mlflow", "mlflow_model"}
# What may differ between an interrupted run and the one that goes on with it.
_FREE_ON_RESUME = {"epochs", "data_dir", "data", "output", "runs_dir", "resume"}


def new_run(settings: TrainingSettings, data_sha256: str) -> Path:
    """Make the folder of a run that begins, on the data of that digest. Raises OSError."""
    run_dir = settings.runs_dir / datetime.now().strftime("%Y-%m-%d_%H-%M-%S.%f")
    run_dir.mkdir(parents=True)
    (run_dir / SETTINGS_FILE).write_text(json.dumps(recipe_settings(settings), indent=2) + "\n")
    (run_dir / DATA_FILE).write_text(f"{data_sha256}\n")
    return run_dir


def interrupted_run(settings: TrainingSettings, data_sha256: str) -> Path:
    """The latest run that was interrupted and has something to go on with.

    Raises TrainingError where there is none, or where it had other settings or data.
    """
    runs = [path.parent for path in settings.runs_dir.glob(f"*/{SETTINGS_FILE}") if _can_go_on(path.parent)]
    if not runs:
        raise TrainingError(f"no run in {settings.runs_dir} was interrupted; start one without --resume")
    run_dir = max(runs)
    # A run of an older version lacks the settings that came later; what it did then is their default.
    defaults = recipe_settings(TrainingSettings.model_construct())
    before, now = {**defaults, **json.loads((run_dir / SETTINGS_FILE).read_text())}, recipe_settings(settings)
    for name in sorted(before.keys() - _FREE_ON_RESUME):
        if before[name] != now.get(name):
            raise TrainingError(
                f"the run in {run_dir} was started with {name} = {before[name]}, not {now.get(name)}; "
                "go on with the same settings, or start a new run without --resume"
            )
    data = run_dir / DATA_FILE
    # The place may be another, but a picture that was fitted must not be one of the test's. Older runs do not say.
    if data.exists() and data.read_text().strip() != data_sha256:
        raise TrainingError(
            f"the data are not those that the run in {run_dir} was started with; give it the same pictures in the same "
            "classes and parts, or start a new run without --resume"
        )
    return run_dir


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Keep the run to ourselves. Raises TrainingError where another program is at it, OSError where there is none."""
    if fcntl is None:
        yield
        return
    folder = os.open(run_dir, os.O_RDONLY)
    try:
        _lock(folder, run_dir)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, run_dir: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TrainingError(
            f"another program is at the run in {run_dir}; wait for its end, or start a new run without --resume"
        ) from error
    except OSError:
        pass  # the file system has no locks, such as some of networks


def describe_checkpoint(checkpoint: Path, card: ModelCard) -> None:
    """Leave what is known of the checkpoint in the file beside it that a service reads, whatever becomes of the run.

    It stays there, as the checkpoint does.
    """
    checkpoint.with_suffix(".card.json").write_text(card.model_dump_json(indent=2, exclude_none=True) + "\n")


def left_by_interruption(run_dir: Path, checkpoint: Path, output: Path) -> str:
    """What a person has of a run that was interrupted, in one line: the model, the best epoch so far, how to go on."""
    if (run_dir / _CARD).exists():
        return f"interrupted; {output} is published already, but some of the run's files in {run_dir} may be missing"
    best = f"; the best epoch so far is {checkpoint}, which can be served" if checkpoint.exists() else ""
    further = (
        "the same command with --resume goes on after the last whole epoch"
        if _can_go_on(run_dir)
        else "no whole epoch is done, so start it anew"
    )
    return f"interrupted; {output} is as it was; the run's files are in {run_dir}{best}; {further}"


def finish(run_dir: Path, card: ModelCard) -> None:
    """Leave the card of what was published, and nothing to go on with."""
    (run_dir / _CARD).write_text(card.model_dump_json(indent=2) + "\n")
    for mark in (HEAD_FITTED, FITTED):
        (run_dir / mark).unlink(missing_ok=True)


def recipe_settings(settings: TrainingSettings) -> dict[str, object]:
    """What makes a run what it is: all settings but those of places, and of what is told elsewhere."""
    return settings.model_dump(mode="json", exclude=_PLACES)


def _can_go_on(run_dir: Path) -> bool:
    return backup.is_there(run_dir) or any((run_dir / mark).exists() for mark in (HEAD_FITTED, FITTED))
