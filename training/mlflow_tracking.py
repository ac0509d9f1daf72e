"""Tells MLflow of a run: its curves as it goes, its files and figures at its end. Knows no data and no network.

Where MLflow keeps what it is told is MLflow's own setting (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and so on). What
cannot be told is said in a line on the terminal, and never ends a run. MLflow's autologging is not used: it does not
know that two calls of `fit` may be one run, and falls silent at the second.
"""

import atexit
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import keras
import tensorflow as tf
from rich.console import Console

from models.card import ModelCard, write_card
from models.printable import printable
from models.reasons import first_line
from training.runs import recipe_settings
from training.settings import TrainingSettings

RUN_ID = "mlflow-run-id"
_ARTEFACTS = ("card.json", "history.csv", "*.png", "mistakes.html")
# Where nothing else is set, a server that is gone holds a run up by a minute or so and not, as by MLflow's own
# defaults, by a quarter of an hour.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


class TellEpochs(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """Tells the figures of each epoch to MLflow's active run, if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self._live = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Tell them, unless that failed before: what could not be told is tried again at the end only."""
        import mlflow  # noqa: PLC0415

        if self._live and mlflow.active_run():
            console = Console(highlight=False, markup=False)
            self._live = _try(console, "told an epoch", lambda: mlflow.log_metrics(dict(logs or {}), step=epoch))


class MlflowTracking:
    """One run in MLflow, begun or gone on with. Nothing is raised by what it does."""

    def __init__(self, settings: TrainingSettings, run_dir: Path, console: Console) -> None:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        self._settings, self._run_dir, self._console = settings, run_dir, console
        self._begun = _try(console, "begun", self._begin)

    def finish(self, network: keras.Model, card: ModelCard, output: Path, history: Sequence[dict[str, float]]) -> None:
        """Tell what is published at `output`, and all epochs that were not told yet; register the model if wanted."""
        if not self._begun and not _try(self._console, "begun", self._begin):
            return
        told = _try(self._console, "told all", lambda: self._tell_result(card, output, history))
        if self._settings.mlflow_model:
            told &= _try(self._console, "given the model", lambda: self._register(network, card))
        _try(self._console, "ended", lambda: self._end("FINISHED" if told else "FAILED"))

    def _begin(self) -> None:
        import mlflow  # noqa: PLC0415

        mark = self._run_dir / RUN_ID
        known = mark.read_text() if mark.exists() else None
        run = mlflow.start_run(run_id=known, run_name=self._run_dir.name)
        atexit.register(self._give_up)
        if known is None:
            mlflow.log_params(recipe_settings(self._settings))
            mark.write_text(run.info.run_id)
        self._console.print(
            f"MLflow at {printable(mlflow.get_tracking_uri())} has it as run {run.info.run_id}", soft_wrap=True
        )

    def _tell_result(self, card: ModelCard, output: Path, history: Sequence[dict[str, float]]) -> None:
        import mlflow  # noqa: PLC0415

        run_id = (self._run_dir / RUN_ID).read_text()
        told = {entry.step for entry in mlflow.MlflowClient().get_metric_history(run_id, "val_loss")}
        for row in history:
            if int(row["epoch"]) not in told:
                metrics = {name: value for name, value in row.items() if name != "epoch"}
                mlflow.log_metrics(metrics, step=int(row["epoch"]))
        if card.evaluation:
            test, validation = card.evaluation.test, card.evaluation.validation
            figures = {"test_loss": test.loss, "test_accuracy": test.accuracy}
            best = {"best_val_loss": validation.loss, "best_val_accuracy": validation.accuracy}
            mlflow.log_metrics(figures | best | {"test_calibration_error": card.evaluation.calibration_error or 0.0})
        mlflow.log_artifact(str(output))
        for pattern in _ARTEFACTS:
            for path in sorted(self._run_dir.glob(pattern)):
                mlflow.log_artifact(str(path))

    def _register(self, network: keras.Model, card: ModelCard) -> None:
        """As one of MLflow's Keras models. The file in it has the card, so that a service reads it rightly."""
        import mlflow.keras  # noqa: PLC0415
        from mlflow.keras.utils import get_model_signature  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "model"
            mlflow.keras.save_model(
                network,
                str(made),
                signature=get_model_signature(network),  # type: ignore[no-untyped-call, unused-ignore]
                pip_requirements=[f"keras=={keras.__version__}", f"tensorflow=={tf.__version__}"],
            )
            write_card(made / "data" / "model.keras", card)
            mlflow.log_artifacts(str(made), "model")
        run_id = (self._run_dir / RUN_ID).read_text()
        version = mlflow.register_model(f"runs:/{run_id}/model", self._settings.mlflow_model)
        self._console.print(
            f"MLflow's registry has it as {printable(version.name)}, version {version.version}", soft_wrap=True
        )

    def _end(self, status: str) -> None:
        import mlflow  # noqa: PLC0415

        mlflow.end_run(status)
        atexit.unregister(self._give_up)

    def _give_up(self) -> None:
        """At the end of a process that did not come to the end of its run, which MLflow takes for a success."""
        with suppress(Exception):
            self._end("KILLED")


def _try(console: Console, what: str, action: Callable[[], object]) -> bool:
    try:
        action()
    except Exception as error:  # whatever MLflow and its stores raise, the run is worth more
        console.print(f"MLflow could not be {what}: {printable(first_line(error))}", soft_wrap=True)
        return False
    return True
