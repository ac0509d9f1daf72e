"""Model files that would harm whoever loads them are refused, each with its reason, before Keras sees them."""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from models.card import ModelFileError
from models.file_version import file_version
from service.model_files.snapshot import ModelFileLimits, snapshot
from tests.applications import tensorflow_engine
from tests.samples import ROOT, SHIPPED_MODEL

PLENTY = 1 << 30


def open_(path: Path) -> h5py.File:
    return h5py.File(path, "r+")


def change_config(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with open_(path) as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


def replace_layer(number: int, **given: Any) -> Callable[[Path], None]:
    return lambda path: change_config(path, lambda config: config["config"]["layers"][number].update(given))


def set_in_layer(number: int, **given: Any) -> Callable[[Path], None]:
    return lambda path: change_config(path, lambda config: config["config"]["layers"][number]["config"].update(given))


def part(module: str | None, name: str, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def add_link(link: Any) -> Callable[[Path], None]:
    def add(path: Path) -> None:
        with open_(path) as file:
            file["model_weights/elsewhere"] = link

    return add


def add_loop(path: Path) -> None:
    with open_(path) as file:
        file["model_weights/again"] = file["model_weights"]


def add_external_array(path: Path) -> None:
    with open_(path) as file:
        file.create_dataset("secret", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def add_virtual_array(path: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/elsewhere.h5", "values", (4,))
    with open_(path) as file:
        file.create_virtual_dataset("virtual", layout)


def add_endless_array(path: Path) -> None:
    with open_(path) as file:
        file.create_dataset("endless", (1 << 40,), "f4", chunks=(1024,))


def add_array_that_swells(path: Path) -> None:
    """One piece of 800 MB, packed into less than one."""
    count = 200_000_000
    with open_(path) as file:
        array = file.create_dataset("model_weights/swells", (count,), "f4", chunks=(count,), compression="gzip")
        packer = zlib.compressobj(1)
        packed = b"".join(packer.compress(bytes(10_000_000)) for _ in range(80)) + packer.flush()
        array.id.write_direct_chunk((0,), packed)


def add_no_number(path: Path) -> None:
    with open_(path) as file:
        file["model_weights/dense/odd"] = np.array([1, np.inf], np.float32)


def set_config(text: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with open_(path) as file:
            file.attrs["model_config"] = text

    return change


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def contents(group: h5py.Group) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    group.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "size") else {}))
    return found


# What is done to a good file, and what is said of the result.
HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a Lambda": (replace_layer(1, class_name="Lambda"), "it has a Lambda, which is Python code"),
    "a layer that somebody registered": (replace_layer(1, registered_name="evil>Layer"), "'evil>Layer', which"),
    "a layer of another module": (replace_layer(1, module="os.path"), "of os.path"),
    "a download by Keras's own function": (
        set_in_layer(1, kernel_initializer=part("keras.utils", "get_file", origin="http://127.0.0.1/x")),
        "'get_file' of keras.utils",
    ),
    "a function of Python's": (set_in_layer(1, activation=part("builtins", "function")), "the function {} of builtins"),
    "an array of numbers in the description": (set_in_layer(1, padding=part(None, "__numpy__")), "'__numpy__'"),
    "a layer that reads files": (replace_layer(1, class_name="TextVectorization"), "layer TextVectorization,"),
    "a link to another file": (add_link(h5py.ExternalLink("/etc/elsewhere.h5", "/")), "a link to another place"),
    "a link inside the file": (add_link(h5py.SoftLink("/model_weights")), "a link to another place"),
    "a group inside itself": (add_loop, "is in it twice"),
    "an array in another file": (add_external_array, "lies in another file"),
    "an array put together from other files": (add_virtual_array, "lies in another file"),
    "an array of 4 TiB": (add_endless_array, "declare more than"),
    "an array that swells to 800 MB": (add_array_that_swells, "refused"),
    "weights that are no numbers": (add_no_number, "no numbers"),
    "no JSON": (set_config("{"), "cannot be read as JSON"),
    "JSON that is nested too deeply": (set_config("[" * 5000 + "]" * 5000), "JSON|nested too deeply"),
    "half a file": (cut_short, "cannot be read as HDF5"),
    "a dense layer for all the memory there is": (set_in_layer(4, units=2_000_000_000), "parameters, and at most"),
    "maps for all the memory there is": (
        set_in_layer(1, filters=10_000_000),
        "one layer needs|parameters, and at most",
    ),
    "an image as large as a town": (
        set_in_layer(0, batch_shape=[None, 90_000, 90_000, 3]),
        "one layer needs|parameters",
    ),
    "layers that do not fit": (set_in_layer(0, batch_shape=[None, 8]), "cannot build the model"),
}


@pytest.fixture
def file(bare_model_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "given.h5"
    path.write_bytes(bare_model_file.read_bytes())
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_what_could_harm_is_refused_with_its_reason(file: Path, name: str) -> None:
    spoil, reason = HOSTILE[name]
    spoil(file)
    with pytest.raises(ModelFileError, match=reason) as refused:
        tensorflow_engine(file, "cpu", (), 8)
    assert str(refused.value).startswith(str(file))
    assert "Traceback" not in str(refused.value)


def test_a_good_file_is_copied_and_named_by_its_digest_and_the_copy_is_gone_afterwards() -> None:
    with snapshot(SHIPPED_MODEL, ModelFileLimits(PLENTY, None)) as (copy, version, labels):
        with h5py.File(copy) as made, h5py.File(SHIPPED_MODEL) as given:
            assert {"model_config", "model_card"} < set(made.attrs)
            assert contents(made["model_weights"]) == contents(given["model_weights"])
        assert version == file_version(SHIPPED_MODEL)
        assert labels is None
        assert copy.parent.stat().st_mode & 0o77 == 0
    assert not copy.exists()


def test_only_the_digest_that_was_named_is_loaded(file: Path) -> None:
    with pytest.raises(ModelFileError, match="expected 0000"), snapshot(file, ModelFileLimits(PLENTY, "0" * 64)):
        pass


def test_a_file_that_is_too_large_or_missing_is_told(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="more than the 100 bytes"), snapshot(file, ModelFileLimits(100, None)):
        pass
    with (
        pytest.raises(ModelFileError, match="there is no model file"),
        snapshot(tmp_path / "no.h5", ModelFileLimits()),
    ):
        pass
    with pytest.raises(ModelFileError, match="it is a folder, not a file"), snapshot(tmp_path, ModelFileLimits()):
        pass


def test_ordinary_networks_of_many_layers_are_loaded(tmp_path: Path) -> None:
    start = keras.Input((16, 16, 3))
    values = layers.Rescaling(1 / 127.5, -1)(layers.RandomFlip()(start))
    branch = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", kernel_constraint="max_norm")(values)
    values = layers.Add()([layers.BatchNormalization()(branch), layers.SeparableConv2D(4, 3, padding="same")(values)])
    inner = keras.Sequential([keras.Input((16, 16, 4)), layers.DepthwiseConv2D(3), layers.LeakyReLU()])
    values = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(inner(layers.ReLU()(values))))
    model = keras.Model(start, layers.Dense(2, activation="softmax")(layers.Dropout(0.2)(values)))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.save(tmp_path / "many.h5")
    classifier = tensorflow_engine(tmp_path / "many.h5", "cpu", (), 2)
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    assert classifier.predict(images) == pytest.approx(model.predict(images, verbose=0), abs=1e-5)


def test_the_process_that_looks_imports_no_engine_and_no_http() -> None:
    program = "import sys; import service.model_files.validation.process; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(found.stdout.split())
    ours = {name for name in modules if name.startswith("service.") and not name.startswith("service.model_files")}
    assert ours == {"service.errors"}
    assert modules.isdisjoint({"keras", "tensorflow", "fastapi", "starlette", "service.model_files.loading"})
