"""Options and variables of all programs: a slip is told in one line, with what was most likely meant."""

import pytest

from models.command_line import unknown_variables
from service.settings import ServiceSettings
from tests.processes import run_to_end

NAMES = {
    "service": "cnn-serve",
    "service.check": "cnn-check",
    "service.convert": "cnn-convert",
    "service.predict": "cnn-predict",
    "training": "cnn-train",
    "training.evaluate": "make evaluate",
}


@pytest.mark.parametrize(
    ("module", "misspelt", "meant"),
    [
        ("service", "--model-paht", "--model-path"),
        ("service", "--model_path=m.keras", "--model-path"),
        ("service", "--Watchh", "--watch"),
        ("service.check", "--picture", "--pictures"),
        ("service.convert", "--cachedir", "--cache-dir"),
        ("service.predict", "--topk", "--top-k"),
        ("training", "--epoch", "--epochs"),
        ("training.evaluate", "--modle", "--model"),
    ],
)
def test_a_misspelt_option_is_told_with_the_nearest_one(module: str, misspelt: str, meant: str) -> None:
    finished = run_to_end(module, misspelt, "3")
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    option, *_ = misspelt.split("=")
    assert line.startswith(f"{NAMES[module]}: there is no option {option} (did you mean {meant}?); --help")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["model.keras"], "no option comes before the argument 'model.keras' (did you mean --model-path model.keras?)"),
        (
            ["https://me:secret@x.org/a.h5"],
            "no option comes before the argument 'https://…' (did you mean --model-path https://…?)",
        ),
        (
            ["--class-names", "cup,", "fork"],
            "no option comes before the argument 'fork' (a list has no spaces behind its commas, or stands in quotes)",
        ),
        (["--port"], "argument --port: expected one argument"),
        (["--quux", "1"], "there is no option --quux; --help lists all options"),
    ],
)
def test_what_else_is_wrong_with_a_command_line_is_one_line(options: list[str], text: str) -> None:
    finished = run_to_end("service", *options)
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert line.startswith(f"cnn-serve: {text}")


def test_what_a_misspelt_option_was_given_is_not_told() -> None:
    assert "secret" not in run_to_end("service", "--api-kyes=secret", "--api-kye", "secret").stderr


@pytest.mark.parametrize(
    ("module", "misspelt", "meant"),
    [
        ("service", "SERVICE_MODELPATH", "SERVICE_MODEL_PATH"),
        ("service", "SERVICE_API_KEY", "SERVICE_API_KEYS"),  # or everybody may call
        ("service.check", "SERVICE_CLASS_NAME", "SERVICE_CLASS_NAMES"),
        ("training", "TRAINING_EPOCH", "TRAINING_EPOCHS"),
    ],
)
def test_a_variable_that_is_nearly_a_setting_stops_the_program(module: str, misspelt: str, meant: str) -> None:
    finished = run_to_end(module, *(["model.keras"] if module == "service.check" else []), **{misspelt: "3"})
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert line == f"{NAMES[module]}: there is no variable {misspelt} (did you mean {meant}?)"


def test_a_variable_beside_the_one_that_it_is_like_is_no_slip() -> None:
    """The key of a client, in the environment of the service too."""
    keys = {"SERVICE_API_KEYS": "none", "SERVICE_API_KEY": "key"}
    assert "--api-keys" in run_to_end("service", **keys).stderr


def test_the_service_s_own_variables_are_no_slips_of_other_programs() -> None:
    finished = run_to_end("service.predict", "nothing-here", "-o", "answers.csv", SERVICE_API_KEYS="a" * 64)
    assert "there is no file or folder nothing-here" in finished.stderr


def test_a_variable_that_is_no_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_NAME", "pictures")
    monkeypatch.setenv("SERVICE_PROT", "8001")
    monkeypatch.setenv("service_workers", "2")
    assert unknown_variables(ServiceSettings) == [
        "SERVICE_NAME in the environment is no setting, and has no effect",
        "SERVICE_PROT in the environment is no setting, and has no effect (did you mean SERVICE_PORT?)",
    ]


def test_kubernetes_variables_for_a_service_named_service_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SERVICE_SERVICE_HOST": "10.0.0.11",
        "SERVICE_SERVICE_PORT": "8000",
        "SERVICE_SERVICE_PORT_HTTP": "8000",
        "SERVICE_PORT_8000_TCP": "tcp://10.0.0.11:8000",
        "SERVICE_PORT_8000_TCP_PROTO": "tcp",
        "SERVICE_PORT_8000_TCP_PORT": "8000",
        "SERVICE_PORT_8000_TCP_ADDR": "10.0.0.11",
        "SERVICE_GRPCPORT": "tcp://10.0.0.12:9000",
    }.items():
        monkeypatch.setenv(name, value)
    assert unknown_variables(ServiceSettings) == []
