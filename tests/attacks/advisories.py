"""Model files as the public advisories on Keras's deserialization describe them: each is written to a path.

What they would do is made harmless, but the shape of each is that of its advisory.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from tests.attacks import model_files as files

Config = dict[str, Any]
Write = Callable[[Path], object]

CODE = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=\n", None, None]}}


def function(module: str, name: str) -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def between(kind: str, module: str = "keras.layers", kwargs: Config | None = None, **config: Any) -> Config:
    """A classifier with one layer of that kind between its input and its end."""
    odd = files.layer("odd", kind, "start", module=module, **config)
    if kwargs is not None:
        odd["inbound_nodes"] = [{"args": [], "kwargs": kwargs}]
    last = files.layer("dense", "Dense", "odd", units=2, activation="softmax")
    return files.functional(files.start(4), odd, last, out="dense")


def unconnected(part: Config) -> Config:
    """A classifier beside which an operation stands that leads to no output."""
    config = files.plain()
    config["config"]["layers"].append(part)
    return config


def with_entry(name: str) -> Write:
    """A `.keras` with one more entry of that name."""

    def write(path: Path) -> None:
        files.keras_zip(path, files.plain())
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"hostile")

    return write


def with_link_as_entry(path: Path) -> None:
    """A `.keras` whose metadata are a link to /etc/passwd."""
    files.keras_zip(path, files.plain())
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)
            if name == "metadata.json":
                entry.external_attr = 0o120777 << 16
            archive.writestr(entry, b"/etc/passwd" if name == "metadata.json" else content)


def weights_as_npz(path: Path) -> None:
    """A `.keras` whose weights are an .npz, a zip in the zip that may swell."""
    files.keras_zip(path, files.plain(), model__weights__npz=b"PK\x03\x04")


def shards(path: Path) -> None:
    """A `.keras` whose weights are in other files, which their list names: "../../etc/x"."""
    weight_map = {"/layers/dense/vars": "../../etc/x.weights.h5"}
    listed = json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}).encode()
    files.keras_zip(path, files.plain(), model__weights__json=listed)


def keras(config: Config) -> Write:
    return lambda path: files.keras_zip(path, config)


def hdf5(config: Config) -> Write:
    return lambda path: files.hdf5(path, config)


def array(fill: Callable[[h5py.File], object]) -> Write:
    return lambda path: files.keras_zip(path, files.plain(), fill)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/elsewhere.h5", "values", (4,))
    file.create_virtual_dataset("layers/dense/vars/2", layout)


SWITCH = {
    "module": "keras.src.ops.core",
    "class_name": "Switch",
    "config": {"name": "switch"},
    "registered_name": "Switch",
    "name": "switch",
    "inbound_nodes": [{"args": [0, [function("keras.utils", "pad_sequences")], [[1]]], "kwargs": {}}],
}
MANY_UNITS = files.plain(2_000_000_000)
BUILT_LARGE = files.plain()
BUILT_LARGE["config"]["layers"][2] |= {"build_config": {"input_shape": [None, 2_000_000_000]}}
COMPILED = files.plain() | {
    "compile_config": {
        "optimizer": {
            "module": "keras.optimizers",
            "class_name": "MultiOptimizer",
            "config": {"optimizer_map": {"(a+)+$": {}}},
            "registered_name": None,
        },
        "loss": "mse",
    }
}

# What the advisory says, the file, and what is said of it.
ADVISORIES: dict[str, tuple[Write, str]] = {
    "CVE-2024-3660: code in a Lambda": (keras(between("Lambda", function=CODE)), "it has a Lambda"),
    "CVE-2025-1550: any function of any module": (
        keras(between("Lambda", function=function("os", "system"), arguments={"command": "true"})),
        "it has a Lambda",
    ),
    "CVE-2025-1550: any class of any module": (keras(between("Popen", "subprocess", args="true")), "of subprocess"),
    "CVE-2025-8747: Keras's own function that downloads": (
        keras(between("get_file", "keras.utils", fname="x", origin="http://127.0.0.1:9/x")),
        "'get_file' of keras.utils",
    ),
    "CVE-2025-8747: as the initial values of a layer": (
        keras(between("Dense", units=2, kernel_regularizer=function("keras.utils", "get_file"))),
        "the function 'get_file' of keras.utils",
    ),
    "CVE-2025-9905: code in a Lambda in HDF5, where safe mode does not reach": (
        hdf5(between("Lambda", function=CODE, function_type="lambda")),
        "it has a Lambda",
    ),
    "CVE-2025-9906: Keras's own function that ends safe mode": (
        keras(
            between(
                "Lambda", function=function("keras.config", "enable_unsafe_deserialization"), kwargs={"inputs": "x"}
            )
        ),
        "it has a Lambda",
    ),
    "CVE-2025-9906: as an activation": (
        keras(between("Activation", activation=function("keras.config", "enable_unsafe_deserialization"))),
        "the function 'enable_unsafe_deserialization' of keras.config",
    ),
    "CVE-2025-12058: words that a layer reads from a file or the network": (
        keras(between("StringLookup", vocabulary="/etc/passwd")),
        "a layer StringLookup, which looks words up",
    ),
    "CVE-2025-12058: numbers so": (
        keras(between("IntegerLookup", vocabulary="http://127.0.0.1:9/x")),
        "a layer IntegerLookup",
    ),
    "CVE-2025-12060, CVE-2025-12638: an archive that leads out of its folder": (
        with_entry("../../outside.py"),
        r"has '../../outside\.py' in it",
    ),
    "the extraction of links": (with_link_as_entry, "'metadata.json' in it is a link"),
    "files of words among the assets": (with_entry("assets/words.txt"), "it has assets"),
    "CVE-2026-0897, CVE-2026-12570: shapes that declare more than there is": (
        array(lambda file: file.create_dataset("layers/dense/vars/2", (50_000_000, 50_000_000), "f4")),
        "arrays declare more than",
    ),
    "CVE-2026-1462: a SavedModel beside the file": (
        keras(between("TFSMLayer", filepath="/tmp/elsewhere")),
        "a layer TFSMLayer, which runs what another framework wrote",
    ),
    "the same of PyTorch": (keras(between("TorchModuleWrapper", module="gASVAAA=")), "a layer TorchModuleWrapper"),
    "CVE-2026-1669: the bytes of another file as weights": (
        array(lambda file: file.create_dataset("layers/dense/vars/2", (4,), "u1", external="/etc/passwd")),
        "lies in another file",
    ),
    "CVE-2026-1669: a link to another file": (
        array(lambda file: file["layers/dense/vars"].update({"2": h5py.ExternalLink("/etc/x.h5", "/")})),
        "is a link to another place",
    ),
    "CVE-2026-12480: virtual arrays of other files": (array(virtual), "lies in another file"),
    "CVE-2026-12481: code in a Lambda within a wrapper, asked without safe mode": (
        hdf5(
            between(
                "TimeDistributed",
                layer={"module": "keras.layers", "class_name": "Lambda", "config": {"function": CODE}},
            )
        ),
        "it has a Lambda",
    ),
    "an operation that calls a function, and leads to no output": (keras(unconnected(SWITCH)), "it has 'Switch'"),
    "weights as an .npz": (weights_as_npz, r"its weights are a \.npz"),
    "weights in other files": (shards, r"has 'model\.weights\.json' in it"),
    "a quantizer with another module": (
        keras(between("Dense", units=2, quantization_config={"class_name": "x", "module": "os", "config": {}})),
        "'x' of os",
    ),
    "a registered name that is somebody's own": (
        keras(between("Dense", units=2) | {"registered_name": "evil>Functional"}),
        "'evil>Functional'",
    ),
}
# What is told from the description, but by building it without its weights.
TOO_LARGE: dict[str, Write] = {
    "a layer that is built before there are weights": keras(MANY_UNITS),
    "a layer that says itself how it was built": keras(BUILT_LARGE),
    "an EinsumDense of any shape": keras(
        between("EinsumDense", equation="ab,bcd->acd", output_shape=[2_000_000, 2_000], bias_axes="d")
    ),
    "a Dense as large in HDF5": hdf5(MANY_UNITS),
}
