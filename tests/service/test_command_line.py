"""`python -m service`: its help, and one clear line for what stops the start."""

from pathlib import Path

import pytest

from service.settings import ServiceSettings
from tests.processes import run_to_end


def test_help_shows_every_setting() -> None:
    finished = run_to_end("service", "--help")
    assert finished.returncode == 0
    for name in ServiceSettings.model_fields:
        assert f"--{name.replace('_', '-')} " in finished.stdout


def test_a_wrong_setting_is_one_line() -> None:
    finished = run_to_end("service", "--port", "70000", SERVICE_DEVICE="tpu")
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert line.startswith("cnn-serve: ")
    assert "--port" in line
    assert "--device" in line
    assert "'70000'" in line


def test_settings_that_do_not_go_together_are_one_line() -> None:
    finished = run_to_end("service", "--max-queue-size", "10")
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert "--max-queue-size 10 has no room for the 64 images" in line


def our_lines(stderr: str) -> list[str]:
    """What is left without TensorFlow's own lines."""
    return [line for line in stderr.splitlines() if not line.startswith(("WARNING: All log", "I0000", "E0000"))]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("content", "reason"), [(None, "there is no model file at"), (b"not a model", "of no kind of model file")]
)
def test_a_model_that_cannot_be_served_stops_the_start(
    tmp_path: Path, content: bytes | None, reason: str, workers: int
) -> None:
    path = tmp_path / "model.h5"
    if content:
        path.write_bytes(content)
    finished = run_to_end("service", "--model-path", path, "--workers", workers, "--port", 0)
    assert finished.returncode == 3
    assert "Traceback" not in finished.stderr
    errors = [line for line in our_lines(finished.stderr) if "ERROR:" in line.split() and str(path) in line]
    assert 1 <= len(errors) <= workers
    assert all(reason in line for line in errors)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_does_not_fit_stops_the_start_of_all_workers(bare_model_file: Path, workers: int) -> None:
    finished = run_to_end(
        "service", "--model-path", bare_model_file, "--class-names", "one,two", "--workers", workers, "--port", 0
    )
    assert finished.returncode == 3
    assert "Traceback" not in finished.stderr
    assert "names 2 classes, but the model has 3; give all of them in its order" in finished.stderr


def test_a_gpu_that_is_not_there_stops_the_start(model_file: Path) -> None:
    finished = run_to_end("service", "--model-path", model_file, "--device", "gpu", CUDA_VISIBLE_DEVICES="")
    assert finished.returncode == 3
    assert "ERROR:    device is gpu, but TensorFlow sees none" in finished.stderr
    assert "Traceback" not in finished.stderr
