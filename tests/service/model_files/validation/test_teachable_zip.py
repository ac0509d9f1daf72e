"""Teachable Machine's zip: the model in it is loaded, and its classes are named as its labels.txt says."""

import io
import json
import zipfile
from pathlib import Path

import keras
import pytest

from models.card import ModelFileError
from models.file_version import file_version
from service.model_files.labels import parse_labels
from service.model_files.snapshot import ModelFileLimits, snapshot
from service.model_files.validation.process import HDF5_NAME, LABELS_NAME, validate

MAX_BYTES = 1 << 20


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"0 Class 1\n1 Class 2\n", ("Class 1", "Class 2")),
        (b"\xef\xbb\xbf0 Cat\r\n1 Dog\r\n\r\n", ("Cat", "Dog")),
        ("0 고양이\n1 chien  bleu".encode(), ("고양이", "chien  bleu")),
        (b"3 apples\n4 pears\n", ("3 apples", "4 pears")),
        (b"cat\ndog", ("cat", "dog")),
        (b"0 cat\n1 dog\nowl", ("0 cat", "1 dog", "owl")),
    ],
)
def test_labels_lose_the_number_that_each_line_has(content: bytes, names: tuple[str, ...]) -> None:
    assert parse_labels(content) == names


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"0 caf\xe9\n", "no UTF-8"), (b"", "have 0 lines"), (b"a\n" * 100_001, "have 100,001 lines")],
)
def test_labels_that_are_none_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        parse_labels(content)


def zip_of(**parts: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize("folder", ["", "converted_keras/"])
def test_the_model_and_its_labels_come_out(tmp_path: Path, bare_model_file: Path, folder: str) -> None:
    path = tmp_path / "converted_keras.zip"
    model = bare_model_file.read_bytes()
    labels = b"0 Class 1\n1 Class 2\n2 Class 3\n"
    path.write_bytes(zip_of(**{f"{folder}keras_model.h5": model, f"{folder}labels.txt": labels, "__MACOSX/x": b""}))
    with snapshot(path, ModelFileLimits()) as copy:
        assert copy.path.name == HDF5_NAME
        assert keras.saving.load_model(copy.path, compile=False).output_shape == (None, 3)
        assert copy.version == file_version(path)
        assert copy.labels == ("Class 1", "Class 2", "Class 3")


def test_without_labels_there_are_none(tmp_path: Path, bare_model_file: Path) -> None:
    (tmp_path / "original").write_bytes(zip_of(**{"keras_model.h5": bare_model_file.read_bytes()}))
    validate(tmp_path / "original", MAX_BYTES)
    assert [file.name for file in tmp_path.iterdir()] == [HDF5_NAME]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"keras_model.h5": b"no model"}, "of its keras_model.h5: its first bytes are of no kind of model file"),
        ({"keras_model.h5": b"\x89HDF\r\n\x1a\n" + bytes(100)}, "cannot be read as HDF5"),
        ({"keras_model.h5": zip_of(**{"config.json": b""})}, "of its keras_model.h5: it cannot be read as HDF5"),
        ({"keras_model.h5": bytes(2 << 20)}, "entries declare 2,097,152 bytes"),
        ({"keras_model.h5": b"", "a/keras_model.h5": b""}, "2 files called keras_model.h5"),
        ({"keras_model.h5": b"", "labels.txt": b" " * ((1 << 20) - 9)}, "have 0 lines"),
        ({"a/b/keras_model.h5": b""}, "has no keras_model.h5"),
    ],
)
def test_what_could_harm_is_refused(tmp_path: Path, parts: dict[str, bytes], reason: str) -> None:
    (tmp_path / "original").write_bytes(zip_of(**parts))
    with pytest.raises(ModelFileError, match=reason):
        validate(tmp_path / "original", MAX_BYTES)


def test_long_labels_are_not_read(tmp_path: Path, bare_model_file: Path) -> None:
    parts = {"keras_model.h5": bare_model_file.read_bytes(), "labels.txt": b"a" * ((1 << 20) + 1)}
    (tmp_path / "original").write_bytes(zip_of(**parts))
    with pytest.raises(ModelFileError, match=r"'labels.txt' in it has more than 1,048,576 bytes"):
        validate(tmp_path / "original", 4 << 20)


def test_labels_are_left_for_who_asked_as_json(tmp_path: Path, bare_model_file: Path) -> None:
    parts = {"keras_model.h5": bare_model_file.read_bytes(), "labels.txt": "0 Katze\n1 Füchsin\n".encode()}
    (tmp_path / "original").write_bytes(zip_of(**parts))
    validate(tmp_path / "original", MAX_BYTES)
    assert json.loads((tmp_path / LABELS_NAME).read_text("utf-8")) == ["Katze", "Füchsin"]
