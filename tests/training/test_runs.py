"""Which interrupted run is gone on with: also one of a version that knew fewer settings."""

import json
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.runs import DATA_FILE, FITTED, SETTINGS_FILE, interrupted_run, locked, new_run
from training.settings import TrainingSettings

DATA = "0123456789abcdef"


@pytest.fixture
def older_run(tmp_path: Path) -> Path:
    """A run of a version without --padding, --strides and --pooling, which did not keep what its data were."""
    run_dir = new_run(TrainingSettings(runs_dir=tmp_path, recipe="strong"), DATA)
    file = run_dir / SETTINGS_FILE
    known = json.loads(file.read_text())
    file.write_text(json.dumps({name: known[name] for name in known.keys() - {"padding", "strides", "pooling"}}))
    (run_dir / DATA_FILE).unlink()
    (run_dir / FITTED).touch()
    return run_dir


def test_a_run_that_lacks_later_settings_goes_on_with_their_defaults(tmp_path: Path, older_run: Path) -> None:
    assert interrupted_run(TrainingSettings(runs_dir=tmp_path, recipe="strong"), DATA) == older_run


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"strides": (2,)}, r"strides = \[1\], not \[2\]"),
        ({"pooling": "average"}, "pooling = max, not average"),
        ({"padding": "valid"}, "padding = same, not valid"),
    ],
)
def test_it_does_not_go_on_as_another_network(
    tmp_path: Path, older_run: Path, given: dict[str, object], told: str
) -> None:
    with pytest.raises(TrainingError, match=told):
        interrupted_run(TrainingSettings(runs_dir=tmp_path, recipe="strong", **given), DATA)
    assert older_run.exists()


def test_it_goes_on_with_the_same_data_wherever_they_lie(tmp_path: Path) -> None:
    run_dir = new_run(TrainingSettings(runs_dir=tmp_path, data="here"), DATA)
    (run_dir / FITTED).touch()
    assert interrupted_run(TrainingSettings(runs_dir=tmp_path, data="there"), DATA) == run_dir
    with pytest.raises(TrainingError, match=f"the data are not those that the run in {run_dir} was started with"):
        interrupted_run(TrainingSettings(runs_dir=tmp_path, data="here"), "fedcba9876543210")


def test_a_run_that_another_program_is_at_is_not_gone_on_with(tmp_path: Path) -> None:
    settings = TrainingSettings(runs_dir=tmp_path)
    run_dir = new_run(settings, DATA)
    (run_dir / FITTED).touch()
    told = f"another program is at the run in {run_dir}; wait for its end, or start a new run"
    with locked(run_dir), pytest.raises(TrainingError, match=told), locked(interrupted_run(settings, DATA)):
        pass
    with locked(interrupted_run(settings, DATA)):
        pass
