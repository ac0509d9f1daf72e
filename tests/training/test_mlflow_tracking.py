"""`--mlflow`, against a real local store: what it is told of a run, and that no run depends on it."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console

from models.card import read_card
from tests.samples import left_out_without, sample_split
from tests.training.test_fit import interrupt, interrupted_in_process, settings_in
from training import fit
from training.base import load_base
from training.recipe import read_history
from training.settings import TrainingSettings, find_spec

QUIET = Console(quiet=True)

needs_mlflow = left_out_without(find_spec("mlflow") is not None, "MLflow")
# MLflow and what it is made of are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's client of an empty store."""
    import mlflow  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield mlflow.MlflowClient()
    mlflow.end_run("KILLED")


def only_run(store: Any) -> Any:
    (run,) = store.search_runs(["0"])
    return run


def curve(store: Any, name: str) -> dict[int, float]:
    entries = store.get_metric_history(only_run(store).info.run_id, name)
    assert len(entries) == len({entry.step for entry in entries})
    return {entry.step: entry.value for entry in entries}


def history_of(settings: TrainingSettings) -> dict[int, Any]:
    (run_dir,) = (path for path in settings.runs_dir.iterdir() if path.name != "features")
    return {int(row["epoch"]): pytest.approx(row["val_loss"]) for row in read_history(run_dir)}


@needs_mlflow
def test_a_run_is_told_with_its_figures_files_and_model(tmp_path: Path, store: Any) -> None:
    import mlflow  # noqa: PLC0415

    settings = settings_in(tmp_path, mlflow=True, mlflow_model="clothes")
    card = fit.run(settings, sample_split(), QUIET)
    run = only_run(store)
    assert run.info.status == "FINISHED"
    assert run.data.params["filters"] == "[4, 8]"
    assert card.evaluation is not None
    assert run.data.metrics["test_accuracy"] == pytest.approx(card.evaluation.test.accuracy)
    assert curve(store, "val_loss") == history_of(settings)
    files = {file.path for file in store.list_artifacts(run.info.run_id)}
    assert files >= {"net.h5", "card.json", "history.csv", "mistakes.html", "confusion-matrix.png", "model"}

    images = sample_split().test_pictures / np.float32(255)
    expected = keras.saving.load_model(settings.output, compile=False).predict(images, verbose=0)
    assert np.allclose(mlflow.pyfunc.load_model("models:/clothes/1").predict(images), expected, atol=1e-6)
    downloaded = Path(mlflow.artifacts.download_artifacts("models:/clothes/1", dst_path=str(tmp_path / "d")))
    assert read_card(downloaded / "data" / "model.keras") == card


@needs_mlflow
@interrupted_in_process
def test_a_resumed_run_is_one_run(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow  # noqa: PLC0415

    interrupt(monkeypatch, settings_in(tmp_path, epochs=4, mlflow=True), 2)
    mlflow.end_run("KILLED")  # as at the end of the process
    settings = settings_in(tmp_path, epochs=4, mlflow=True, resume=True)
    fit.run(settings, sample_split(), QUIET)
    assert list(curve(store, "val_loss")) == [0, 1, 2, 3]
    assert curve(store, "val_loss") == history_of(settings)
    assert only_run(store).info.status == "FINISHED"


@needs_mlflow
def test_both_stages_on_a_base_are_one_curve(tmp_path: Path, store: Any) -> None:
    body = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(4, 3, strides=2), layers.GlobalAveragePooling2D()])
    body.save(tmp_path / "body.keras")
    settings = settings_in(
        tmp_path, base=str(tmp_path / "body.keras"), channels=1, epochs=2, fine_tune_epochs=2, mlflow=True
    )
    fit.run(settings, sample_split(), QUIET, load_base(settings))
    assert len(curve(store, "val_loss")) == 4
    assert curve(store, "val_loss") == history_of(settings)


@needs_mlflow
def test_a_server_that_is_not_there_is_told_and_the_model_is_published(
    tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow  # noqa: PLC0415

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    settings, console = settings_in(tmp_path, epochs=1, mlflow=True), Console(record=True, file=io.StringIO())
    card = fit.run(settings, sample_split(), console)
    assert read_card(settings.output) == card
    assert console.export_text().count("MLflow could not be begun: API request to http://127.0.0.1:9") == 2


@needs_mlflow
def test_what_could_not_be_told_as_it_went_is_told_at_the_end(
    tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow  # noqa: PLC0415

    usual, calls = mlflow.log_metrics, []

    def fail_once(*given: object, **named: object) -> object:
        calls.append(given)
        if len(calls) == 1:
            raise OSError("the line is down")
        return usual(*given, **named)

    monkeypatch.setattr(mlflow, "log_metrics", fail_once)
    settings = settings_in(tmp_path, mlflow=True)
    fit.run(settings, sample_split(), QUIET)
    assert "MLflow could not be told an epoch: the line is down" in capsys.readouterr().out
    assert curve(store, "val_loss") == history_of(settings)


def test_without_mlflow_it_is_one_line_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.settings.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="--mlflow needs MLflow; install it with `pip install mlflow`"):
        TrainingSettings(mlflow=True)
    with pytest.raises(ValueError, match="--mlflow-model has a meaning with --mlflow only"):
        TrainingSettings(mlflow_model="clothes")
