"""However the process that converts ends, who asked is told what that means. It is a real process."""

import re
from pathlib import Path

import pytest

from models.card import ModelFileError
from models.specification import Facts
from service.engines.light import loader
from service.engines.light.converted import ConversionRequest, ConversionResult
from service.engines.light.loader import run_converter
from service.errors import StorageFailed

STAND_IN = "tests.service.engines.light.stand_in"


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "CONVERTER", STAND_IN)


def asked(name: str, folder: Path) -> ConversionResult:
    path = folder / f"{name}.h5"
    return run_converter(ConversionRequest(path=path, folder=folder, options=Facts(), max_bytes=1000, sha256="a" * 64))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("refused", "the file is refused"),
        ("broken", "broken.h5 cannot be converted (ImportError: there is no TensorFlow)"),
        ("killed", "killed.h5 is refused: to run it once took more memory or time"),
    ],
)
def test_without_a_result_the_file_is_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=re.escape(text)):
        asked(name, tmp_path)


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No space left"):
        asked("full", tmp_path)


def test_where_conversion_crashes_tensorflow_can_run_the_model(tmp_path: Path) -> None:
    assert asked("crashed", tmp_path).reason == "it ends the process"
