"""`python -m training`: its help, one clear line for what goes wrong, and a published model that stays as it was."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.processes import command, run_to_end
from tests.samples import ROOT, needs_full_set
from training.settings import TrainingSettings


def last_line(stderr: str) -> str:
    assert "Traceback" not in stderr
    return stderr.splitlines()[-1]


def test_help_shows_every_setting_with_its_meaning() -> None:
    finished = run_to_end("training", "--help", COLUMNS="300")
    assert finished.returncode == 0
    for name, field in TrainingSettings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in finished.stdout
        assert field.description
        assert field.description in finished.stdout


def test_the_defaults_are_the_textbooks() -> None:
    settings = TrainingSettings()
    assert (settings.epochs, settings.batch_size, settings.patience, settings.learning_rate) == (20, 32, 2, 0.001)
    assert (settings.filters, settings.dense, settings.dropout) == ((32, 64), 100, 0.4)
    assert (settings.padding, settings.strides, settings.pooling) == ("same", (1,), "max")
    assert (settings.validation_share, settings.seed) == (0.2, 42)


@pytest.mark.parametrize(
    ("options", "converted"), [("", True), ("--epochs 5", True), ("--data my-images --output models/mine.h5", False)]
)
def test_make_converts_the_served_model_where_that_is_what_was_fitted(options: str, converted: bool) -> None:
    dry_run = ["make", "--dry-run", "--assume-old=.venv/cpu", "train", f"ARGS={options}"]
    told = subprocess.run(dry_run, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert ("service.convert models/best-cnn-model.h5" in told) == converted


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--validation-share", "0"], "--validation-share: Input should be greater than 0, got '0'"),
        (["--validation-share", "1"], "--validation-share: Input should be less than 1, got '1'"),
        (["--epochs", "many"], "--epochs: "),
        (["--filters", "32,x"], "--filters: "),
        (["--strides", "0"], "--strides: Input should be greater than or equal to 1, got '0'"),
        (["--strides", "1,2,1"], "--strides has 3 numbers, and --filters names 2 convolutions"),
        (["--padding", "full"], "--padding: Input should be 'same' or 'valid', got 'full'"),
        (["--pixels", "-1..1"], "--pixels has a meaning with --base only"),  # and is no option named -1
        (["--pooling", "min"], "--pooling: Input should be 'max' or 'average', got 'min'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(options: list[str], part: str) -> None:
    finished = run_to_end("training", *options)
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert line.startswith("cnn-train: ")
    assert part in line


def test_the_environment_counts_as_options_do() -> None:
    finished = run_to_end("training", TRAINING_EPOCHS="0")
    assert finished.returncode == 2
    assert "--epochs: Input should be greater than or equal to 1, got '0'" in finished.stderr


def test_the_strong_recipe_has_defaults_of_its_own_which_can_be_overruled() -> None:
    strong = TrainingSettings(_cli_parse_args=["--recipe", "strong"])
    assert (strong.epochs, strong.batch_size, strong.learning_rate, strong.validation_share) == (90, 128, 0.002, 0.1)
    assert (strong.filters, strong.dense, strong.dropout) == ((32, 64), 100, 0.4)
    assert TrainingSettings(_cli_parse_args=["--recipe", "strong", "--epochs", "3"]).epochs == 3


def test_filters_are_given_by_commas_as_the_docs_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TrainingSettings(_cli_parse_args=["--filters", "8,16"]).filters == (8, 16)
    monkeypatch.setenv("TRAINING_FILTERS", "32,64")
    assert TrainingSettings().filters == (32, 64)


def test_one_stride_is_for_all_convolutions_and_several_are_for_each() -> None:
    assert TrainingSettings(_cli_parse_args=["--strides", "2"]).strides == (2,)
    assert TrainingSettings(_cli_parse_args=["--strides", "2,1"]).strides == (2, 1)


@pytest.mark.parametrize(
    ("option", "value"), [("--filters", "8,8"), ("--padding", "same"), ("--strides", "1"), ("--pooling", "max")]
)
def test_a_base_brings_its_own_convolutions(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{option} has a meaning without --base only"):
        TrainingSettings(_cli_parse_args=["--base", "mobilenetv2", option, value])


def test_a_missing_data_file_is_one_line_and_the_published_model_stays(tmp_path: Path) -> None:
    output = tmp_path / "model.h5"
    output.write_bytes(b"published before")
    finished = run_to_end("training", "--data-dir", tmp_path, "--output", output, "--runs-dir", tmp_path / "runs")
    assert finished.returncode == 1
    line = last_line(finished.stderr)
    assert line.startswith("cnn-train: there is no train-images-idx3-ubyte.gz")
    assert str(tmp_path) in line
    assert output.read_bytes() == b"published before"


@needs_full_set
def test_a_place_for_the_runs_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / "model.h5"
    finished = run_to_end("training", "--output", output, "--runs-dir", tmp_path / "file" / "runs")
    assert finished.returncode == 1
    line = last_line(finished.stderr)
    assert line.startswith("cnn-train: ")
    assert "Not a directory" in line
    assert line.endswith(f"{output} is as it was")


@needs_full_set
def test_a_full_disk_is_one_line_and_the_published_model_stays(tmp_path: Path) -> None:
    output = tmp_path / "model.h5"
    output.write_bytes(b"published before")
    training = command(
        "training", "--epochs", 1, "--batch-size", 2000, "--filters", 1, "--dense", 2000,
        "--output", output, "--runs-dir", tmp_path / "runs",
    )  # fmt: skip
    finished = subprocess.run(
        # No file may grow past 400 KiB, which the checkpoint would: what a full disk does, without filling one.
        ["bash", "-c", 'ulimit -f 400; exec "$@"', "-", *training],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    line = last_line(finished.stderr)
    assert line.startswith("cnn-train: ")
    assert line.endswith("cannot be written: File too large; make room and try again")
    assert output.read_bytes() == b"published before"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.h5", "runs"]


@needs_full_set
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_one_line_and_the_published_model_stays(tmp_path: Path, sent: signal.Signals) -> None:
    output = tmp_path / "model.h5"
    output.write_bytes(b"published before")
    process = subprocess.Popen(
        command("training", "--output", output, "--runs-dir", tmp_path / "runs"),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("Epoch 1/20"):
            break
    process.stdout.read(200)  # into the first epoch
    process.send_signal(sent)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert last_line(stderr).startswith(f"cnn-train: interrupted; {output} is as it was")
    assert output.read_bytes() == b"published before"


@needs_full_set
def test_one_epoch_on_the_real_set_from_the_command_line(tmp_path: Path) -> None:
    output = tmp_path / "model.h5"
    finished = run_to_end(
        "training", "--epochs", 1, "--batch-size", 512, "--output", output, "--runs-dir", tmp_path / "runs"
    )
    assert finished.returncode == 0, finished.stderr
    assert output.stat().st_size < 2_000_000  # without the optimizer's state, which is twice the weights
    for part in (
        "Fashion-MNIST from /usr/share/datasets/fashion-mnist: 48,000 images for training",
        "Total params: 333,526",
        "val_loss: ",
        "epochs run",
        "accuracy",
        str(output),
    ):
        assert part in finished.stdout
