"""A whole run on the sample of real images: what it publishes, that it can be repeated, interrupted and resumed."""

import dataclasses
import io
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import callbacks
from PIL import Image
from rich.console import Console

from models.card import ModelCard, read_card
from service.model_files.beside import sources_beside
from tests.samples import ROOT, sample_split
from training import fit, recipe
from training.calibration import fit_temperature
from training.errors import Diverged, PublishError, TrainingError
from training.network import build_network
from training.publish import publish
from training.settings import TrainingSettings

QUIET = Console(quiet=True)


def settings_in(folder: Path, **given: object) -> TrainingSettings:
    small = {"epochs": 3, "dense": 16, "learning_rate": 0.01} | ({} if "base" in given else {"filters": (4, 8)})
    return TrainingSettings(output=folder / "models" / "net.h5", runs_dir=folder / "runs", **(small | given))


def weights_of(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path, compile=False).get_weights()


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_the_textbooks_network_has_its_parameters() -> None:
    network = build_network(28, 28, 1, 10, (32, 64), 100, 0.4)
    assert network.count_params() == 333_526
    assert [layer.count_params() for layer in network.layers] == [320, 0, 18_496, 0, 0, 313_700, 0, 1_010]


def test_padding_strides_and_pooling_are_settings(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, epochs=1, padding="valid", strides=(2, 1), pooling="average")
    card = fit.run(settings, sample_split(), QUIET)
    assert card.training is not None
    assert [card.training.settings[name] for name in ("padding", "strides", "pooling")] == ["valid", [2, 1], "average"]
    first, pooling, second, *_ = keras.saving.load_model(settings.output, compile=False).layers
    assert (first.padding, first.strides, first.output.shape[1:3]) == ("valid", (2, 2), (13, 13))
    assert (type(pooling).__name__, pooling.pool_size, pooling.padding) == ("AveragePooling2D", (2, 2), "valid")
    assert (second.padding, second.strides, second.output.shape[1:3]) == ("valid", (1, 1), (4, 4))


def test_a_run_publishes_the_best_epoch_with_its_card(tmp_path: Path) -> None:
    settings, split = settings_in(tmp_path), sample_split()
    console = Console(record=True, width=100, file=io.StringIO())
    card = fit.run(settings, split, console)
    assert read_card(settings.output) == card
    assert card.training is not None
    assert card.evaluation is not None
    assert len(card.training.history) == 3
    assert card.training.settings["filters"] == [4, 8]

    (run_dir,) = settings.runs_dir.iterdir()
    assert {file.name for file in run_dir.iterdir()} == {
        "best-cnn-model.h5",
        "best-cnn-model.card.json",
        "settings.json",
        "data-sha256",
        "history.csv",
        "learning-curves.png",
        "confusion-matrix.png",
        "architecture.png",
        "mistakes.html",
        "card.json",
    }
    assert ModelCard.model_validate_json((run_dir / "card.json").read_text()) == card
    for file in run_dir.glob("*.png"):
        with Image.open(file) as image:
            assert min(image.size) > 300
    assert same(weights_of(settings.output), weights_of(run_dir / recipe.CHECKPOINT))
    with h5py.File(settings.output) as file:
        assert "optimizer_weights" not in file
        assert "training_config" not in file.attrs

    # The figures of the card are those of the published weights.
    network = keras.saving.load_model(settings.output, compile=False)
    answers = network.predict(split.test_pictures / 255.0, verbose=0)
    right = answers.argmax(axis=1) == split.test_labels
    assert card.evaluation.test.accuracy == pytest.approx(right.mean())
    loss = -np.log(answers[np.arange(len(answers)), split.test_labels]).mean()
    assert card.evaluation.test.loss == pytest.approx(loss, rel=1e-4)
    best = min(epoch.validation_loss for epoch in card.training.history)
    assert card.evaluation.validation.loss == pytest.approx(best, rel=1e-4)
    assert np.trace(card.evaluation.confusion_matrix) == right.sum()

    report = console.export_text()
    for part in (
        "120 images for training, 40 for validation, 40 for the test",
        f"best: {card.training.best_epoch}",
        f"{card.evaluation.test.accuracy:.4f}",
        "net.h5",
    ):
        assert part in report


def test_the_same_seed_gives_the_same_network(tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 42), ("b", 42), ("c", 43)):
        settings = settings_in(tmp_path / name, epochs=2, seed=seed)
        fit.run(settings, sample_split(), QUIET)
        files.append(weights_of(settings.output))
    assert same(files[0], files[1])
    assert not same(files[0], files[2])


# Keras's CSVLogger leaves closing its file to the end of the process.
interrupted_in_process = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class InterruptAt(callbacks.Callback):
    """Ctrl-C at the beginning of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._at = epoch

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        if epoch == self._at:
            raise KeyboardInterrupt


def interrupt(monkeypatch: pytest.MonkeyPatch, settings: TrainingSettings, epoch: int) -> None:
    usual = recipe.fit_callbacks
    with monkeypatch.context() as context:
        context.setattr(recipe, "fit_callbacks", lambda *given: [*usual(*given), InterruptAt(epoch)])
        with pytest.raises(KeyboardInterrupt):
            fit.run(settings, sample_split(), QUIET)


def test_the_strong_recipe_publishes_a_calibrated_float32_network_of_the_same_layers(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, recipe="strong", epochs=12, batch_size=8)
    card = fit.run(settings, sample_split(), QUIET)
    assert card.training is not None
    assert card.training.recipe == "strong"
    assert card.evaluation is not None
    assert card.evaluation.calibration_error is not None
    network = keras.saving.load_model(settings.output, compile=False)
    assert [layer.name for layer in network.layers][:2] == ["conv2d", "max_pooling2d"]
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    probabilities = network.predict(sample_split().validation_pictures / np.float32(255), verbose=0)
    assert fit_temperature(probabilities, sample_split().validation_labels) == pytest.approx(1, rel=0.01)


@interrupted_in_process
@pytest.mark.parametrize("name", ["textbook", "strong"])
def test_an_interrupted_run_leaves_the_published_model_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings = settings_in(tmp_path, epochs=4, recipe=name)
    settings.output.parent.mkdir()
    settings.output.write_bytes(b"what was published before")
    interrupt(monkeypatch, settings, 2)
    assert settings.output.read_bytes() == b"what was published before"
    assert [file.name for file in settings.output.parent.iterdir()] == ["net.h5"]

    card = fit.run(settings_in(tmp_path, epochs=4, recipe=name, resume=True), sample_split(), QUIET)
    assert card.training is not None
    assert [epoch.epoch for epoch in card.training.history] == [1, 2, 3, 4]
    assert len(list(settings.runs_dir.iterdir())) == 1
    assert read_card(settings.output) == card


@interrupted_in_process
def test_a_resumed_run_keeps_an_earlier_epoch_that_was_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, settings_in(tmp_path, epochs=3), 2)
    (run_dir,) = (tmp_path / "runs").iterdir()
    history = run_dir / recipe.HISTORY
    lines = history.read_text().splitlines()
    # As if the second epoch had been unbeatable.
    lines[-1] = lines[-1].rpartition(",")[0] + ",0.0001"
    history.write_text("\n".join(lines) + "\n")
    before = weights_of(run_dir / recipe.CHECKPOINT)
    card = fit.run(settings_in(tmp_path, epochs=3, resume=True), sample_split(), QUIET)
    assert card.training is not None
    assert card.training.best_epoch == 2
    assert same(weights_of(tmp_path / "models" / "net.h5"), before)


@interrupted_in_process
def test_resuming_with_other_settings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, settings_in(tmp_path), 1)
    with pytest.raises(TrainingError, match="was started with batch_size = 32, not 16"):
        fit.run(settings_in(tmp_path, batch_size=16, resume=True), sample_split(), QUIET)


@interrupted_in_process
def test_resuming_with_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, settings_in(tmp_path), 1)
    other = dataclasses.replace(sample_split(), sha256="1" * 64)
    with pytest.raises(TrainingError, match=r"the data are not those that the run in .* without --resume"):
        fit.run(settings_in(tmp_path, resume=True), other, QUIET)


def test_resuming_needs_a_run_that_was_interrupted(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="without --resume"):
        fit.run(settings_in(tmp_path, resume=True), sample_split(), QUIET)


def test_fitting_stops_when_validation_no_longer_improves(tmp_path: Path) -> None:
    card = fit.run(settings_in(tmp_path, epochs=20, patience=1, learning_rate=0.1), sample_split(), QUIET)
    assert card.training is not None
    assert len(card.training.history) == card.training.best_epoch + 1 < 20


def test_a_loss_that_is_no_number_publishes_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, learning_rate=3e38)
    with pytest.raises(Diverged, match="lower --learning-rate"):
        fit.run(settings, sample_split(), QUIET)
    assert list(settings.output.parent.iterdir()) == []


def test_without_graphviz_the_run_still_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    console = Console(record=True, file=io.StringIO())
    fit.run(settings_in(tmp_path, epochs=1), sample_split(), console)
    assert "architecture.png is left out" in console.export_text()


def test_more_poolings_than_the_images_bear_are_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"28×28 are too small: pooling 5 of 6.*keep at most 4 of --filters"):
        fit.run(settings_in(tmp_path, filters=(1,) * 6), sample_split(), QUIET)
    assert not (tmp_path / "runs").exists()


def test_a_fault_that_is_not_the_disks_is_not_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(keras.Model, "fit", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        fit.run(settings_in(tmp_path), sample_split(), QUIET)


def test_a_name_that_is_no_model_files_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"ends neither in \.h5 nor in \.keras"):
        fit.run(TrainingSettings(output=tmp_path / "model.pt"), sample_split(), QUIET)


def test_a_place_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="cannot be written"):
        fit.run(TrainingSettings(output=tmp_path / "file" / "model.h5"), sample_split(), QUIET)


def test_a_card_that_is_too_large_leaves_the_published_model(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, epochs=1)
    card = fit.run(settings, sample_split(), QUIET)
    before = settings.output.read_bytes()
    network = keras.saving.load_model(settings.output, compile=False)
    with pytest.raises(PublishError, match="64,512; what was there before is untouched"):
        publish(network, card.model_copy(update={"name": "x" * 70_000}), settings.output)
    assert settings.output.read_bytes() == before
    assert [file.name for file in settings.output.parent.iterdir()] == ["net.h5"]


def test_where_the_processor_cannot_be_asked_everything_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", fail)
    assert recipe.precision(TrainingSettings(recipe="strong")) == "float32"
    assert recipe.precision(TrainingSettings()) == "float32"


@interrupted_in_process
def test_who_interrupts_a_run_is_told_what_there_is_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    told = []
    for epoch in (0, 2):
        usual = recipe.fit_callbacks
        with monkeypatch.context() as context:
            context.setattr(recipe, "fit_callbacks", lambda *given: [*usual(*given), InterruptAt(epoch)])  # noqa: B023
            with pytest.raises(KeyboardInterrupt) as raised:
                fit.run(settings, sample_split(), QUIET)
        told.append(str(raised.value))
    before, after = sorted(settings.runs_dir.iterdir())
    as_it_was = f"interrupted; {settings.output} is as it was; the run's files are in "
    assert told[0] == f"{as_it_was}{before}; no whole epoch is done, so start it anew"
    assert told[1] == (
        f"{as_it_was}{after}; the best epoch so far is {after / 'best-cnn-model.h5'}, which can be served; "
        "the same command with --resume goes on after the last whole epoch"
    )


@interrupted_in_process
def test_who_interrupts_a_run_that_is_published_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt_drawing(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "draw_run", interrupt_drawing)
    settings = settings_in(tmp_path, epochs=1)
    with pytest.raises(KeyboardInterrupt, match=r"net\.h5 is published already"):
        fit.run(settings, sample_split(), QUIET)
    assert read_card(settings.output) is not None


def test_a_full_disk_after_the_model_is_published_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    settings = settings_in(tmp_path, epochs=1)
    with monkeypatch.context() as context:
        context.setattr(fit, "finish", full)
        with pytest.raises(TrainingError, match=r"net\.h5 is published, but .* No space left .* --resume writes them"):
            fit.run(settings, sample_split(), QUIET)
    published = read_card(settings.output)
    card = fit.run(settings_in(tmp_path, epochs=1, resume=True), sample_split(), QUIET)
    assert published is not None
    assert published.evaluation == card.evaluation


def test_the_run_is_nobody_elses_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, epochs=1, resume=True)

    def another_begins(*_: object) -> None:
        monkeypatch.undo()
        fit.run(settings, sample_split(), QUIET)

    monkeypatch.setattr(fit, "publish", another_begins)
    with pytest.raises(TrainingError, match="another program is at the run in "):
        fit.run(settings_in(tmp_path, epochs=1), sample_split(), QUIET)


@interrupted_in_process
def test_the_checkpoint_of_an_interrupted_run_is_served_as_the_model_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, settings_in(tmp_path), 1)
    (run_dir,) = (tmp_path / "runs").iterdir()
    ((facts, source, _),) = sources_beside(run_dir / recipe.CHECKPOINT)
    assert source == "best-cnn-model.card.json"
    assert facts.class_names == sample_split().class_names
    assert (facts.scale, facts.fit, facts.image_size) == (1 / 255, "pad", (28, 28))


def test_a_kill_while_the_checkpoint_is_written_leaves_the_former_one(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    # Two good epochs; in the second, the process is killed when half of the checkpoint is written.
    code = f"""
import os, signal
from pathlib import Path
import keras
from rich.console import Console
from service.model_files.beside import sources_beside
from tests.samples import ROOT, sample_split
from training import fit
from training.settings import TrainingSettings
usual, calls = keras.Model.save, []
def save(network, path, **given):
    usual(network, path, **given)
    calls.append(path)
    if len(calls) == 2:
        os.truncate(path, Path(path).stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
keras.Model.save = save
settings = TrainingSettings.model_validate_json({settings.model_dump_json(exclude_unset=True)!r})
fit.run(settings, sample_split(), Console())
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    (run_dir,) = settings.runs_dir.iterdir()
    former = weights_of(run_dir / recipe.CHECKPOINT)
    assert len(former) == 8
    # Going on, the half one is never taken.
    card = fit.run(settings_in(tmp_path, resume=True), sample_split(), QUIET)
    assert card.training is not None
    assert [epoch.epoch for epoch in card.training.history] == [1, 2, 3]
    assert not [file.name for file in run_dir.iterdir() if file.name.startswith(".")]
