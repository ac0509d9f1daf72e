"""Settings come from options and environment, and travel to worker processes through the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import ServiceSettings


def test_every_setting_has_a_meaning() -> None:
    assert all(field.description for field in ServiceSettings.model_fields.values())


def test_options_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PORT", "1000")
    monkeypatch.setenv("SERVICE_HOST", "example")
    settings = ServiceSettings(_cli_parse_args=["--port", "2000"])
    assert (settings.host, settings.port) == ("example", 2000)


@pytest.mark.parametrize("given", ["red, green,blue", "red,green,blue,"])
def test_class_names_are_given_by_commas(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SERVICE_CLASS_NAMES", given)
    assert ServiceSettings().class_names == ("red", "green", "blue")
    assert ServiceSettings(_cli_parse_args=["--class-names", given]).class_names == ("red", "green", "blue")


def test_a_worker_reads_what_the_command_line_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServiceSettings.model_fields:
        monkeypatch.setenv(f"SERVICE_{name.upper()}", "")  # so that what is exported is taken back after the test
        monkeypatch.delenv(f"SERVICE_{name.upper()}")
    settings = ServiceSettings(port=1234, model_path=Path("a b.h5"), class_names=("x", "y"), device="cpu")
    settings.export()
    assert ServiceSettings() == settings


@pytest.mark.parametrize("given", [{"port": 70_000}, {"workers": 0}, {"device": "tpu"}, {"max_body_bytes": 0}])
def test_settings_that_make_no_sense_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(**given)
