"""A `.keras` that was sent is written anew from what was checked, and refused for anything a model has no need of."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from models.card import ModelFileError, read_card, write_card
from models.file_version import file_version
from service.model_files.snapshot import ModelFileLimits, snapshot
from service.model_files.validation.process import KERAS_NAME, validate
from tests.applications import tensorflow_engine
from tests.fakes import FakeEngine

MAX_BYTES = 1 << 20
Parts = dict[str, bytes]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()])
    inner.compile("adam", loss="mse")
    start = keras.Input((8, 8, 3))
    model = keras.Model(start, layers.Dense(3, activation="softmax")(inner(start / 255)))
    model.compile("adam", loss="sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def saved(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "net.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def parts(saved: Path) -> Parts:
    with zipfile.ZipFile(saved) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Parts, method: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()


def with_config(parts: Parts, change: Callable[[dict[str, Any]], object]) -> Parts:
    config = json.loads(parts["config.json"])
    change(config)
    return parts | {"config.json": json.dumps(config).encode()}


def with_weights(parts: Parts, change: Callable[[h5py.File], object]) -> Parts:
    weights = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        change(file)
    return parts | {"model.weights.h5": weights.getvalue()}


def with_lambda_inside(parts: Parts) -> Parts:
    def change(config: dict[str, Any]) -> None:
        nested = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Sequential")
        nested["config"]["layers"][1]["class_name"] = "Lambda"

    return with_config(parts, change)


def with_entry_twice(parts: Parts) -> bytes:
    made = io.BytesIO(packed(parts))
    with zipfile.ZipFile(made, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    return made.getvalue()


def with_link(parts: Parts) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)
            if name == "metadata.json":
                entry.external_attr, content = 0o120777 << 16, b"/etc/passwd"  # noqa: PLW2901
            archive.writestr(entry, content)
    return made.getvalue()


def with_header(parts: Parts, name: str, place: int, form: str, value: int) -> bytes:
    """With another value in the central directory's record of `name`, `place` bytes from its beginning."""
    content = bytearray(packed(parts, zipfile.ZIP_DEFLATED))
    begin = content.rindex(name.encode(), 0, content.rindex(b"PK\x05\x06")) - 46
    assert content[begin : begin + 4] == b"PK\x01\x02"
    struct.pack_into(form, content, begin + place, value)
    return bytes(content)


def bomb(parts: Parts, name: str, size: int) -> bytes:
    """With an entry of `size` zeros, packed into a thousandth."""
    return packed(parts | {name: bytes(size)}, zipfile.ZIP_DEFLATED)


def cut_weights(parts: Parts) -> Parts:
    return parts | {"model.weights.h5": parts["model.weights.h5"][:3000]}


def add_external_array(file: h5py.File) -> None:
    file.create_dataset("secret", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def with_bad_checksum(parts: Parts) -> bytes:
    content = bytearray(packed(parts))
    content[content.index(b"\x89HDF") + 5000] ^= 1
    return bytes(content)


HOSTILE: dict[str, tuple[Callable[[Parts], Parts | bytes], str]] = {
    "a bomb in place of the weights": (lambda parts: bomb(parts, "model.weights.h5", 4 << 20), "entries declare 4,"),
    "a bomb in place of the description": (
        lambda parts: with_header(parts | {"config.json": bytes(9 << 20)}, "config.json", 24, "<I", 9 << 19),
        "entries declare",
    ),
    "a bomb that declares little": (
        lambda parts: with_header(parts | {"model.weights.h5": bytes(4 << 20)}, "model.weights.h5", 24, "<I", 1000),
        "damaged",
    ),
    "a huge declared size": (
        lambda parts: with_header(parts, "model.weights.h5", 24, "<I", 0xFFFFFFF0),
        "entries declare 4,29",
    ),
    "an entry that is there twice": (with_entry_twice, "'config.json' is in it twice"),
    "a link": (with_link, "'metadata.json' in it is a link"),
    "an encrypted entry": (lambda parts: with_header(parts, "config.json", 8, "<H", 1), "is encrypted"),
    "an unknown packing": (lambda parts: with_header(parts, "config.json", 10, "<H", 14), "packed in a way"),
    "entries on top of each other": (lambda parts: with_header(parts, "config.json", 42, "<I", 0), "on top of another"),
    "another name in an entry's own header": (
        lambda parts: packed(parts).replace(b"config.json", b"c0nfig.json", 1),
        "damaged or cut short .*differ",
    ),
    "a wrong checksum": (with_bad_checksum, "damaged or cut short .*Bad CRC-32"),
    "half a file": (lambda parts: packed(parts)[:-300], "damaged or cut short"),
    "a name that leads out": (lambda parts: parts | {"../evil": b""}, "has '../evil' in it"),
    "a name from the root": (lambda parts: parts | {"/etc/evil": b""}, "has '/etc/evil' in it"),
    "another file": (lambda parts: parts | {"code.py": b""}, "has 'code.py' in it"),
    "assets": (lambda parts: parts | {"assets/string_lookup/vocabulary.txt": b"a"}, "layers that look words up"),
    "weights as .npz": (lambda parts: parts | {"model.weights.npz": b""}, "its weights are a .npz"),
    "no weights": (lambda parts: {"config.json": parts["config.json"]}, "it has no model.weights.h5"),
    "weights that are none": (lambda parts: parts | {"model.weights.h5": b"x" * 900}, "cannot be read as HDF5"),
    "half the weights": (cut_weights, "of its model.weights.h5: it cannot be read as HDF5"),
    "weights with a link elsewhere": (
        lambda parts: with_weights(parts, lambda file: file.update(x=h5py.ExternalLink("/etc/x.h5", "/"))),
        "of its model.weights.h5: 'x' in it is a link",
    ),
    "weights in another file": (lambda parts: with_weights(parts, add_external_array), "lies in another file"),
    "weights that are no numbers": (
        lambda parts: with_weights(parts, lambda file: file.update(x=np.array([np.nan], np.float32))),
        "no numbers",
    ),
    "weights that swell": (
        lambda parts: with_weights(parts, lambda file: file.create_dataset("x", (1 << 40,), "f4", chunks=(1024,))),
        "declare more than",
    ),
    "a Lambda in a model inside": (with_lambda_inside, "it has a Lambda"),
    "no JSON": (lambda parts: parts | {"config.json": b"{"}, "config.json cannot be read as JSON"),
    "no text": (lambda parts: parts | {"config.json": b"\xff\xfe\xfd"}, "config.json cannot be read as JSON"),
    "no object": (lambda parts: parts | {"config.json": b"[1]"}, "no object of JSON"),
    "a description that is nested 1000 deep": (
        lambda parts: parts | {"config.json": b'{"a":' * 990 + b"1" + b"}" * 990},
        "nested too deeply|cannot be read as JSON",
    ),
    "one nested 100,000 deep": (lambda parts: parts | {"config.json": b"[" * 100_000}, "cannot be read as JSON"),
    "a number that is too long": (lambda parts: parts | {"config.json": b"9" * 5000}, "cannot be read as JSON"),
    "a long description": (lambda parts: parts | {"metadata.json": b" " * 70_000}, "has more than 65,536 bytes"),
}


def put(folder: Path, content: Parts | bytes) -> Path:
    path = folder / "original"
    path.write_bytes(content if isinstance(content, bytes) else packed(content))
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_what_could_harm_is_refused_with_its_reason(tmp_path: Path, parts: Parts, name: str) -> None:
    spoil, reason = HOSTILE[name]
    with pytest.raises(ModelFileError, match=reason) as refused:
        validate(put(tmp_path, spoil(parts)), MAX_BYTES)
    assert not (tmp_path / KERAS_NAME).exists()
    assert len(str(refused.value)) < 300


def test_a_description_of_more_than_eight_mebibytes_is_refused(tmp_path: Path, parts: Parts) -> None:
    content = packed(parts | {"config.json": b" " * (9 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match=r"'config\.json' in it has more than 8,388,608 bytes"):
        validate(put(tmp_path, content), 1 << 30)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_keras_gets_is_a_zip_of_our_own(tmp_path: Path, parts: Parts, method: int, model: keras.Model) -> None:
    before = b"#" * 100  # a zip may stand behind other bytes, but not here
    with pytest.raises(ModelFileError, match="no kind of model file"):
        validate(put(tmp_path, before + packed(parts, method)), MAX_BYTES)
    validate(put(tmp_path, packed(parts, method)), MAX_BYTES)
    assert [file.name for file in tmp_path.iterdir()] == [KERAS_NAME]
    with zipfile.ZipFile(tmp_path / KERAS_NAME) as archive:
        assert archive.namelist() == ["config.json", "metadata.json", "model.weights.h5"]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            assert set(weights) == {"layers", "vars"}  # and nothing of the optimizer
        config = json.loads(archive.read("config.json"))
    assert config.pop("compile_config") == {"loss": "sparse_categorical_crossentropy"}
    assert "compile_config" not in json.dumps(config)
    loaded = keras.saving.load_model(tmp_path / KERAS_NAME, compile=False)
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    assert loaded.predict(images, verbose=0) == pytest.approx(model.predict(images, verbose=0), abs=1e-6)


def test_a_card_stays_and_keras_still_unpacks_nothing(tmp_path: Path, saved: Path) -> None:
    path = tmp_path / "original"
    path.write_bytes(saved.read_bytes())
    card = FakeEngine.card_for(8, 8, 3)
    write_card(path, card)
    validate(path, MAX_BYTES)
    assert read_card(tmp_path / KERAS_NAME) == card
    with zipfile.ZipFile(tmp_path / KERAS_NAME) as archive:
        assert len(archive.namelist()) == 3


def test_it_is_served_whatever_its_name_and_answers_as_keras_does(
    tmp_path: Path, saved: Path, model: keras.Model
) -> None:
    path = tmp_path / "called.h5"
    path.write_bytes(saved.read_bytes())
    with snapshot(path, ModelFileLimits()) as copy:
        assert copy.path.name == KERAS_NAME
        assert (copy.version, copy.labels) == (file_version(path), None)
        assert copy.path.parent.stat().st_mode & 0o77 == 0
    write_card(path, FakeEngine.card_for(8, 8, 3))
    engine = tensorflow_engine(path, "cpu", (), 2)
    assert engine.card == FakeEngine.card_for(8, 8, 3)
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    assert engine.version == file_version(path)
    assert engine.predict(images) == pytest.approx(model.predict(images, verbose=0), abs=1e-5)


def test_a_model_too_large_to_build_is_refused_before_it_is_built(tmp_path: Path, parts: Parts) -> None:
    def widen(config: dict[str, Any]) -> None:
        dense = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense")
        dense["config"]["units"] = 2_000_000_000

    path = tmp_path / "net.keras"
    path.write_bytes(packed(with_config(parts, widen)))
    with pytest.raises(ModelFileError, match="parameters, and at most"):
        tensorflow_engine(path, "cpu", (), 8)


def test_an_operation_between_layers_has_a_size_as_well(tmp_path: Path) -> None:
    start = keras.Input((8, 8, 3))
    large = keras.ops.max(keras.ops.tile(start, (1, 1 << 13, 1 << 13, 1)), axis=(1, 2))
    keras.Model(start, layers.Dense(2, activation="softmax")(large)).save(tmp_path / "net.keras")
    with pytest.raises(ModelFileError, match="one layer needs"):
        tensorflow_engine(tmp_path / "net.keras", "cpu", (), 8)


def test_a_zip_of_very_many_entries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="more than 10,000 entries"):
        validate(put(tmp_path, {str(number): b"" for number in range(10_001)}), MAX_BYTES)
