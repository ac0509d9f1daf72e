"""Which interrupted run is gone on with: also one of a version that knew fewer settings."""

import json
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.runs import FITTED, SETTINGS_FILE, interrupted_run, new_run
from training.settings import TrainingSettings


@pytest.fixture
def older_run(tmp_path: Path) -> Path:
    """A run of a version without --padding, --strides and --pooling."""
    run_dir = new_run(TrainingSettings(runs_dir=tmp_path, recipe="strong"))
    file = run_dir / SETTINGS_FILE
    known = json.loads(file.read_text())
    file.write_text(json.dumps({name: known[name] for name in known.keys() - {"padding", "strides", "pooling"}}))
    (run_dir / FITTED).touch()
    return run_dir


def test_a_run_that_lacks_later_settings_goes_on_with_their_defaults(tmp_path: Path, older_run: Path) -> None:
    assert interrupted_run(TrainingSettings(runs_dir=tmp_path, recipe="strong")) == older_run


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
        interrupted_run(TrainingSettings(runs_dir=tmp_path, recipe="strong", **given))
    assert older_run.exists()
