"""Moves the weights in a model file of Keras 2 to where Keras 3 looks for them. Knows no Keras.

Keras 2.12 to 2.14 filed a `.keras` archive's layers under a name that Keras 3 does not know, counted some of them
twice, and on Windows wrote backslashes. Keras 2.6 to 2.11 kept the state of random layers among the weights.
"""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py

from models.card import ModelFileError

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_VARIABLES = "vars"
_RANDOM_STATE = "StateVar:0"

Description = dict[str, Any]
Groups = dict[str, h5py.Group]


def rewrite_archive(path: Path, old: Description, new: Description) -> None:
    """Rewrites the `.keras` archive at `path`, whose description was `old`, with the description `new`.

    Raises ModelFileError where its weights do not fit the description.
    """
    source, target = path.with_name("old.weights.h5"), path.with_name("new.weights.h5")
    with zipfile.ZipFile(path) as archive:
        if _WEIGHTS not in archive.namelist():
            raise ModelFileError(f"it holds no {_WEIGHTS}; save the model anew with model.save('name.keras')")
        parts = {name: archive.read(name) for name in archive.namelist() if name != _WEIGHTS}
        with archive.open(_WEIGHTS) as packed, source.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    _move(source, target, old, new)
    source.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {_CONFIG: json.dumps(new).encode()}).items():
            archive.writestr(name, content)
        archive.write(target, _WEIGHTS)
    target.unlink()


def has_random_states(file: h5py.File) -> bool:
    """Whether an HDF5 model file keeps the state of random layers among its weights."""
    return any(True for _ in _lists_with_states(file))


def drop_random_states(file: h5py.File) -> None:
    """Takes the state of random layers off the lists of weights, as Keras 3 expects none there."""
    for group, key, names in list(_lists_with_states(file)):
        group.attrs[key] = [name for name in names if not _is_state(name)]


def _lists_with_states(file: h5py.File) -> Iterator[tuple[h5py.Group, str, list[Any]]]:
    for group in file["model_weights"].values():
        for key in group.attrs:
            if key.startswith("weight_names") and any(_is_state(name) for name in group.attrs[key]):
                yield group, key, list(group.attrs[key])


def _is_state(name: str | bytes) -> bool:
    return (name.decode() if isinstance(name, bytes) else str(name)).endswith(_RANDOM_STATE)


def _move(weights: Path, moved: Path, old: Description, new: Description) -> None:
    with h5py.File(weights, "r") as source, h5py.File(moved, "w") as target:
        target.create_group(_VARIABLES)
        _copy_layers(_groups(source), "", _layers(old), target, "", _layers(new))


def _groups(source: h5py.File) -> Groups:
    """Each layer's group of variables by its path, with slashes, without the last part."""
    found: Groups = {}

    def add(name: str, item: Any) -> None:
        path = PureWindowsPath(name)
        if isinstance(item, h5py.Group) and path.name == _VARIABLES:
            found[path.parent.as_posix()] = item

    source.visititems(add)
    return found


def _layers(model: Description) -> list[Description]:
    """The layers that are counted: Keras counts a Sequential model's InputLayer nowhere."""
    layers: list[Description] = model["config"]["layers"]
    return [layer for layer in layers if model["class_name"] != "Sequential" or layer["class_name"] != "InputLayer"]


def _copy_layers(
    groups: Groups, source: str, old: list[Description], target: h5py.File, into: str, new: list[Description]
) -> None:
    """Copies what each `old` layer has below `source` to where Keras 3 looks for the `new` one, below `into`."""
    places = _places(groups, source, old)
    seen: dict[str, int] = {}
    for before, after in zip(old, new, strict=True):
        name = _snake_case(after["class_name"])
        count = seen[name] = seen.get(name, -1) + 1
        path = f"{into}layers/{name}_{count}" if count else f"{into}layers/{name}"
        place = places[before["config"]["name"]]
        if "layers" in after["config"]:
            target.create_group(f"{path}/{_VARIABLES}")
            _copy_layers(groups, f"{place}/", _layers(before), target, f"{path}/", _layers(after))
            continue
        for found, group in groups.items():
            if found == place or found.startswith(f"{place}/"):
                target.copy(group, target, f"{path}{found[len(place) :]}/{_VARIABLES}")


def _places(groups: Groups, source: str, layers: list[Description]) -> dict[str, str]:
    """The path of each layer by its name: the groups of a class are in the order of its layers."""
    pattern = re.compile(rf"{re.escape(source)}({'|'.join(_CONTAINERS)})/(\D\w*?)(?:_(\d+))?")
    by_class: dict[str, list[tuple[int, str]]] = {}
    for path in groups:
        if match := pattern.fullmatch(path):
            by_class.setdefault(match[2], []).append((int(match[3] or 0), path))
    places: dict[str, str] = {}
    for name in {_snake_case(layer["class_name"]) for layer in layers}:
        these = [layer for layer in layers if _snake_case(layer["class_name"]) == name]
        found = sorted(by_class.get(name, []))
        if len(found) != len(these):
            raise ModelFileError(
                f"its weights are those of {len(found)} layers of the kind {name}, and its description has "
                f"{len(these)}; load it with the Keras that wrote it and save it anew with model.save('name.h5')"
            )
        places |= {layer["config"]["name"]: path for layer, (_, path) in zip(these, found, strict=True)}
    return places


def _snake_case(name: str) -> str:
    """A class's name in Keras's way: Conv2D → conv2d, ReLU → re_lu."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()
