"""What a file is, is told by its content; what is no Keras model is named, with what to do about it."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from models.card import ModelFileError
from service.model_files.snapshot import ModelFileLimits, snapshot
from service.model_files.validation.formats import Format, check_quickly, recognise


def zip_of(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return made.getvalue()


def hdf5_of(fill: Callable[[h5py.File], object]) -> bytes:
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        fill(file)
    return made.getvalue()


def checkpoint_index() -> bytes:
    return bytes(100) + bytes.fromhex("57fb808b247547db")


FOREIGN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty; copy or download it again"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "Git LFS pointer, .*`git lfs pull`",
    ),
    "TFLite": (b"\x1c\x00\x00\x00TFL3" + bytes(50), "TensorFlow Lite model"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:", "it is an ONNX model"),
    "ONNX by tf2onnx": (b"\x08\x08\x12\x07tf2onnx", "it is an ONNX model"),
    "saved_model.pb": (b"\x08\x01\x12\xff\x10\x0a\x05serve", r"SavedModel.*load_model.*model\.save\('model\.keras'\)"),
    "keras_metadata.pb": (b'\n\xb0\x01\x08\x00\x12\x04root"\x13_tf_keras_sequential', "keras_metadata.pb"),
    "a frozen graph": (b"\n?\n\x07input_1\x12\x0bPlaceholder*\x0b\n\x05dtype", "frozen graph"),
    "a checkpoint's index": (checkpoint_index(), "TensorFlow checkpoint"),
    "a checkpoint's list": (b'model_checkpoint_path: "ckpt"\n', "TensorFlow checkpoint"),
    "an old file of PyTorch": (bytes.fromhex("80028a0a6cfc9c46f9206aa850192e80024de9032e"), "PyTorch model"),
    "a pickle": (pickle.dumps({"model": 1}), "it is a pickle .*never loaded here"),
    "NumPy": (b"\x93NUMPY\x01\x00", "NumPy arrays"),
    "safetensors": ((50).to_bytes(8, "little") + b'{"weight":' + bytes(60), "safetensors"),
    "gzip": (b"\x1f\x8b\x08\x00", "packed archive; unpack it"),
    "tar": (bytes(257) + b"ustar\x00", "packed archive; unpack it"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "it is a picture"),
    "a web page": (b"\n <!DOCTYPE html><html><title>Sign in</title>", "it is a web page"),
    "an error of S3": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "it is a web page"),
    "TensorFlow.js": (b'{"format": "layers-model", "modelTopology": {"class_name": "x"}}', "TensorFlow.js"),
    "an architecture": (b'{"class_name": "Sequential", "config": {}}', "description of a Keras model, without weights"),
    "other JSON": (b'{"message": "Not Found"}', "it is JSON, not a model file"),
    "text": (b"not a model", "no kind of model file that is known here"),
    "a zip of a SavedModel": (
        zip_of("labels.txt", "model.savedmodel/saved_model.pb"),
        "SavedModel.*take Tensorflow, Keras",
    ),
    "a zip of PyTorch": (zip_of("archive/data.pkl", "archive/version"), "PyTorch model"),
    "a zip for TensorFlow.js": (zip_of("model.json", "metadata.json", "weights.bin"), "TensorFlow.js"),
    "a zip of TFLite": (zip_of("labels.txt", "model_unquant.tflite"), "TensorFlow Lite"),
    "a zip of arrays": (zip_of("arr_0.npy"), "NumPy arrays"),
    "a zip around a model": (zip_of("mine/net.h5"), "zip around a model file; unpack it"),
    "a zip around a .keras": (zip_of("net/config.json", "net/model.weights.h5"), "its entries lie in a folder"),
    "a zip of something": (zip_of("a.txt", "b.txt"), "a zip of 2 entries that holds no Keras model"),
    "an empty zip": (zip_of(), "a zip of 0 entries"),
    "half a zip": (zip_of("config.json", "model.weights.h5")[:60], "damaged or cut short"),
    "Keras 2's weights": (hdf5_of(lambda file: file.attrs.update(layer_names=["dense"])), "weights alone"),
    "other HDF5": (hdf5_of(lambda file: file.create_dataset("x", data=[1])), "holds no Keras model"),
    "half an HDF5": (hdf5_of(lambda file: file.create_dataset("x", data=[1]))[:600], "cannot be read as HDF5"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_keras_model_is_told_what_it_is(tmp_path: Path, name: str) -> None:
    content, reason = FOREIGN[name]
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=f"^{reason}|{reason}") as refused:
        recognise(path)
    assert len(str(refused.value)) < 330
    assert "\n" not in str(refused.value)


def test_weights_of_keras_3_are_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    keras.Sequential([keras.Input((2,)), layers.Dense(2)]).save_weights(path)
    with pytest.raises(ModelFileError, match="weights alone"):
        recognise(path)


@pytest.mark.parametrize(
    ("saved", "name", "kind"), [("a.keras", "b.h5", Format.KERAS), ("a.h5", "b.keras", Format.HDF5)]
)
def test_the_name_does_not_matter(tmp_path: Path, saved: str, name: str, kind: Format) -> None:
    keras.Sequential([keras.Input((2,)), layers.Dense(2)]).save(tmp_path / saved)
    (tmp_path / saved).rename(tmp_path / name)
    assert recognise(tmp_path / name) is kind


@pytest.mark.parametrize("folder", ["", "converted_keras/"])
def test_teachable_machines_zip_is_known_with_and_without_a_folder(tmp_path: Path, folder: str) -> None:
    path = tmp_path / "converted_keras.zip"
    path.write_bytes(zip_of(f"{folder}keras_model.h5", f"{folder}labels.txt", "__MACOSX/._keras_model.h5"))
    assert recognise(path) is Format.TEACHABLE_MACHINE


def test_the_file_is_named_before_what_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelFileError, match=r"model\.h5 is refused: it is a Git LFS pointer"):
        check_quickly(path)
    with (
        pytest.raises(ModelFileError, match=r"model\.h5 is refused: it is a Git LFS"),
        snapshot(path, ModelFileLimits()),
    ):
        pass
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"model\.h5 is refused: it is empty"), snapshot(path, ModelFileLimits()):
        pass


def test_a_folder_of_a_saved_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ModelFileError, match="it is TensorFlow's SavedModel"), snapshot(tmp_path, ModelFileLimits()):
        pass


def test_a_quick_look_lets_models_through_and_leaves_zips_closed(tmp_path: Path, model_file: Path) -> None:
    check_quickly(model_file)
    (tmp_path / "zip").write_bytes(b"PK\x03\x04" + json.dumps("no more").encode())
    check_quickly(tmp_path / "zip")
    with pytest.raises(ModelFileError, match="there is no model file"):
        check_quickly(tmp_path / "nothing.h5")


def test_a_real_pickle_of_an_array_is_not_taken_for_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(np.zeros(3)))
    with pytest.raises(ModelFileError, match="it is a pickle"):
        recognise(path)
