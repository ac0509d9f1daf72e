"""`--tensorboard`: the curves that its viewer reads, of whole runs, of resumed ones, and of both stages on a base."""

from pathlib import Path

import keras
import pytest
from keras import layers
from rich.console import Console

from tests.samples import left_out_without, sample_split
from tests.training.test_fit import interrupt, interrupted_in_process, settings_in
from training import fit
from training.base import load_base
from training.recipe import TENSORBOARD, read_history
from training.settings import TrainingSettings, find_spec

QUIET = Console(quiet=True)

pytestmark = [
    left_out_without(find_spec("tensorboard") is not None, "TensorBoard"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
]


def curve(folder: Path) -> dict[int, float]:
    """The loss at each epoch, from 0 on, in all event files of the folder, as TensorBoard's viewer reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415
    from tensorboard.util.tensor_util import make_ndarray  # noqa: PLC0415

    events = EventAccumulator(str(folder))
    events.Reload()
    tensors = events.Tensors("epoch_loss")
    assert [event.step for event in tensors] == sorted({event.step for event in tensors})
    return {event.step: float(make_ndarray(event.tensor_proto)) for event in tensors}


def check_curves(settings: TrainingSettings) -> None:
    (run_dir,) = (path for path in settings.runs_dir.iterdir() if path.name != "features")
    history = read_history(run_dir)
    for part, column in (("train", "loss"), ("validation", "val_loss")):
        of_history = {int(row["epoch"]): pytest.approx(row[column], rel=1e-5) for row in history}
        assert curve(run_dir / TENSORBOARD / part) == of_history


@interrupted_in_process
def test_the_curves_of_a_resumed_run_are_those_of_its_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"epochs": 4, "tensorboard": True}
    interrupt(monkeypatch, settings_in(tmp_path, **given), 2)
    settings = settings_in(tmp_path, **given, resume=True)
    card = fit.run(settings, sample_split(), QUIET)
    check_curves(settings)
    assert card.training is not None
    assert len(card.training.history) == 4
    assert "tensorboard" not in card.training.settings


def test_both_stages_on_a_base_are_one_curve(tmp_path: Path) -> None:
    body = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(4, 3, strides=2), layers.GlobalAveragePooling2D()])
    body.save(tmp_path / "body.keras")
    settings = settings_in(
        tmp_path, base=str(tmp_path / "body.keras"), channels=1, epochs=2, fine_tune_epochs=2, tensorboard=True
    )
    card = fit.run(settings, sample_split(), QUIET, load_base(settings))
    assert card.training is not None
    assert len(card.training.history) == 4
    check_curves(settings)


def test_without_tensorboard_it_is_one_line_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.settings.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs TensorBoard; install it with `pip install tensorboard`"):
        TrainingSettings(tensorboard=True)
    TrainingSettings()
