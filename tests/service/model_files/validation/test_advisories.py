"""What the public advisories on Keras's deserialization describe, until November 2026, never reaches Keras."""

import json
import zipfile
from pathlib import Path

import pytest

from models.card import ModelFileError
from models.specification import Facts
from service.model_files.loading import load_model
from service.model_files.snapshot import ModelFileLimits
from service.model_files.validation.process import KERAS_NAME, validate
from tests.attacks import advisories
from tests.attacks import model_files as files


@pytest.mark.parametrize("advisory", advisories.ADVISORIES)
def test_it_is_refused(advisory: str, tmp_path: Path) -> None:
    write, reason = advisories.ADVISORIES[advisory]
    write(tmp_path / "original")
    with pytest.raises(ModelFileError, match=reason):
        validate(tmp_path / "original", 1 << 30)
    assert not (tmp_path / KERAS_NAME).exists()


@pytest.mark.parametrize("kind", advisories.TOO_LARGE)
def test_what_would_be_built_too_large_is_not_built(kind: str, tmp_path: Path) -> None:
    advisories.TOO_LARGE[kind](tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"parameters, and|cannot build"):
        load_model(tmp_path / "model", Facts(), ModelFileLimits())


def test_expressions_in_how_it_was_compiled_are_never_looked_at(tmp_path: Path) -> None:
    """Keras matches the names of variables against those that an optimizer brings, for as long as that takes."""
    files.keras_zip(tmp_path / "original", advisories.COMPILED)
    validate(tmp_path / "original", 1 << 30)
    with zipfile.ZipFile(tmp_path / KERAS_NAME) as archive:
        assert json.loads(archive.read("config.json"))["compile_config"] == {"loss": "mse"}


def test_a_folder_of_a_checkpoint_is_no_model(tmp_path: Path) -> None:
    """As Orbax writes them, and Keras reads, with names of assets that lead out of it."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "_CHECKPOINT_METADATA").write_text("{}")
    with pytest.raises(ModelFileError, match="it is a folder, not a file"):
        load_model(tmp_path, Facts(), ModelFileLimits())
