"""Rewrites what Keras 2 wrote into a model file into what Keras 3 loads, with the same answers. Knows no Keras.

It comes after validation, so that only known layers are named; what it cannot rewrite it refuses. `graph`,
`layers` and `operations` rewrite the description of a model, `weights` moves weights.
"""

import copy
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from models.card import ModelFileError
from models.card_storage import is_zip
from service.model_files.upgrade.graph import MODELS, check_order_of_weights, upgraded_model
from service.model_files.upgrade.weights import drop_random_states, has_random_states, rewrite_archive

_KERAS_1_CLASSES = {"AtrousConvolution2D", "Convolution1D", "Convolution2D", "Deconvolution2D", "Merge"}
_KERAS_1_ARGUMENTS = {"W_regularizer", "border_mode", "dim_ordering", "init", "nb_filter", "nb_row"}
_KERAS_1 = (
    "it was written by Keras 1 ({}); load it with Keras 1, rebuild the model with Keras 2 or 3, copy the weights, and "
    "save that, or train the model anew"
)
# Operations that Keras 3 writes into HDF5 without the module in which alone it finds them. Layers of the same names
# have more in their config than a name.
_NUMPY = """Absolute Add Clip Divide Flip GetItem Mean Multiply Negative Reshape Stack Subtract Transpose
    TrueDivide""".split()  # noqa: SIM905 - shorter so
_NN = "Relu Relu6 Sigmoid Silu Softmax".split()  # noqa: SIM905 - shorter so
_MODULES = dict.fromkeys(_NUMPY, "keras.src.ops.numpy") | dict.fromkeys(_NN, "keras.src.ops.nn")
_ELLIPSIS = {"class_name": "__ellipsis__", "config": {}}
_WHOLE_AXIS = {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": None}}


def upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """The description of a model for Keras 3.15: `config` itself where that loads, else a new one.

    `config` is the parsed model_config of an HDF5 file, or config.json of a `.keras` file, after validation. Raises
    ModelFileError, without the file's name, for what cannot be loaded with the same answers: Keras 1, TensorFlow
    functions without a counterpart, layers that Keras 3 has not.
    """
    for part in _described(config):
        found = _mark_of_keras_1(part)
        if found:
            raise ModelFileError(_KERAS_1.format(found))
    try:
        if _is_keras_3(config):
            return _with_modules(config)
        return upgraded_model(config) if config.get("class_name") in MODELS else config
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ModelFileError(
            f"its description of the model is not as any Keras writes it ({reason:.100}); save the model anew"
        ) from error


def upgrade_file(path: Path) -> dict[str, Any]:
    """Upgrades the validated model file at `path`, HDF5 or `.keras`, in place; one that needs nothing is not touched.

    Returns the description of the model that is in it then. Raises ModelFileError, without the file's name.
    """
    return _upgrade_archive(path) if is_zip(path) else _upgrade_hdf5(path)


def _upgrade_hdf5(path: Path) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        version = _text(file.attrs.get("keras_version", ""))
        config = json.loads(file.attrs["model_config"])
        if version.startswith("1."):
            raise ModelFileError(_KERAS_1.format(version))
        _check_backend(file, config)
        rewritten = upgraded(config)
        if rewritten is not config and not _is_keras_3(config):
            check_order_of_weights(config)
        states = has_random_states(file)
    if rewritten == config and not states:
        return rewritten
    with h5py.File(path, "r+") as file:
        # As bytes, which are kept outside the object's header and may be larger than its 64 KiB, as Keras does.
        file.attrs["model_config"] = json.dumps(rewritten).encode()
        if states:
            drop_random_states(file)
    return rewritten


def _upgrade_archive(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        config: dict[str, Any] = json.loads(archive.read("config.json"))
    rewritten = upgraded(config)
    if not _is_keras_3(config) and rewritten != config:
        rewrite_archive(path, config, rewritten)
        return rewritten
    return config


def _check_backend(file: h5py.File, config: dict[str, Any]) -> None:
    weights = file.get("model_weights")
    if weights is None:
        raise ModelFileError("it holds no weights; save the whole model with model.save('name.h5')")
    backend = _text(file.attrs.get("backend", weights.attrs.get("backend", "")))
    if backend == "theano" and any("Conv" in str(part.get("class_name")) for part in _described(config)):
        raise ModelFileError(
            "Keras wrote it on Theano, which mirrors the kernels of convolutions; load it with Keras 2 on TensorFlow, "
            "which turns them, and save it anew"
        )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _described(part: Any) -> Iterator[dict[str, Any]]:
    """Every dict that names a class, from the outside in."""
    if isinstance(part, dict):
        if "class_name" in part:
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for value in part:
            yield from _described(value)


def _mark_of_keras_1(part: dict[str, Any]) -> str | None:
    config = part.get("config")
    arguments = _KERAS_1_ARGUMENTS & set(config) if isinstance(config, dict) else set()
    return part["class_name"] if part["class_name"] in _KERAS_1_CLASSES else min(arguments, default=None)


def _is_keras_3(config: dict[str, Any]) -> bool:
    return any(
        part["class_name"] in {"DTypePolicy", "__keras_tensor__"}
        or (part["class_name"] == "InputLayer" and "batch_shape" in part.get("config", {}))
        for part in _described(config)
    )


def _with_modules(config: dict[str, Any]) -> dict[str, Any]:
    bare = [part for part in _described(config) if _is_bare_operation(part)]
    if not bare:
        return config
    config = copy.deepcopy(config)
    for part in _described(config):
        if _is_bare_operation(part):
            part["module"] = _MODULES[part["class_name"]]
            if part["class_name"] == "GetItem":
                _write_ellipsis_out(part)
    return config


def _write_ellipsis_out(part: dict[str, Any]) -> None:
    """Makes `x[..., 0]` `x[:, :, :, 0]`: what stands for the dots in HDF5 Keras 3 reads, but does not understand."""
    for node in part.get("inbound_nodes", []):
        given, *keys = node["args"]
        if len(keys) == 1 and isinstance(keys[0], list) and _ELLIPSIS in keys[0]:
            place, axes = keys[0].index(_ELLIPSIS), len(given["config"]["shape"])
            keys[0][place : place + 1] = [_WHOLE_AXIS] * (axes - len(keys[0]) + 1)


def _is_bare_operation(part: dict[str, Any]) -> bool:
    config = part.get("config")
    return (
        part["class_name"] in _MODULES
        and "module" not in part
        and isinstance(config, dict)
        and not {"trainable", "dtype"} & set(config)
    )
