"""A small harmless model file in both formats, and what is needed to write a hostile one: to a path, or as JSON."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]


# Descriptions as Keras 3 writes them.


def layer(name: str, kind: str, *inputs: str, module: str = "keras.layers", **config: Any) -> Config:
    """One layer, called once on the outputs of the layers called `inputs`."""
    given = [tensor(one) for one in inputs]
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [{"args": [given if len(given) > 1 else given[0]], "kwargs": {}}] if given else [],
    }


def tensor(name: str, call: int = 0) -> Config:
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 4], "dtype": "float32", "keras_history": [name, call, 0]},
    }


def start(*shape: int) -> Config:
    return layer("start", "InputLayer", batch_shape=[None, *shape], dtype="float32")


def functional(*layers: Config, out: str, call: int = 0, name: str = "model") -> Config:
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "layers": list(layers),
            "input_layers": [["start", 0, 0]],
            "output_layers": [[out, call, 0]],
        },
        "registered_name": "Functional",
    }


def sequential(*layers: Config) -> Config:
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def plain(units: int = 2) -> Config:
    """A harmless classifier of images of 2×2."""
    return functional(
        start(2, 2, 1),
        layer("flat", "Flatten", "start"),
        layer("dense", "Dense", "flat", units=units, activation="softmax"),
        out="dense",
    )


def hdf5(path: Path, config: Any, fill: Callable[[h5py.File], object] = lambda _: None, weights: bool = True) -> None:
    """An HDF5 file as Keras writes it, with the weights of `plain` or without any; `fill` does harm to it."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = (config if isinstance(config, str) else json.dumps(config)).encode()
        file.attrs["keras_version"], file.attrs["backend"] = "3.15.0", "tensorflow"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"] if weights else np.array([])
        if weights:
            dense = group.create_group("dense")
            dense.attrs["weight_names"] = [b"kernel", b"bias"]
            dense["kernel"], dense["bias"] = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
        fill(file)


def keras_zip(path: Path, config: Any, fill: Callable[[h5py.File], object] = lambda _: None, **more: bytes) -> None:
    """A `.keras` file with the weights of `plain`; `more` are other entries, with `__` for the dot."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("vars")
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
        fill(file)
    entries = {"metadata.json": b'{"keras_version": "3.15.0"}', "config.json": json.dumps(config).encode()}
    entries |= {"model.weights.h5": weights.getvalue()} | {name.replace("__", "."): one for name, one in more.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
