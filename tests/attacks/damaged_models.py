"""Small real model files of every kind, damaged where it may matter.

That is in their bytes, in the description as JSON, in attributes and arrays of HDF5, and in the entries of a zip. What
one costs who does not expect it is not known before: a traceback, a hang, a crash of the library that reads it.
"""

import copy
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers

from models.card import write_card
from tests.attacks import model_files as attacks
from tests.fakes import FakeEngine
from tests.samples import ROOT

OLD_FILES = ROOT / "tests" / "service" / "model_files" / "upgrade" / "old-files"


def functional() -> keras.Model:
    start = keras.Input((8, 8, 3))
    values = layers.Conv2D(3, 3, activation="relu")(layers.Rescaling(1 / 255)(start))
    inner_start = keras.Input((6, 6, 3))
    inner_values = layers.Add()([layers.DepthwiseConv2D(3, padding="same")(inner_start), inner_start])
    inner = keras.Model(inner_start, inner_values)
    values = layers.TimeDistributed(layers.Dense(2))(inner(values) * 2.0)
    values = layers.Bidirectional(layers.GRU(2))(layers.Reshape((6, 12))(values))
    return keras.Model(start, layers.Dense(3, activation="softmax")(layers.Dropout(0.1)(values)))


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.RandomFlip(),
            layers.Conv2D(2, 3),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(2, activation="softmax", kernel_initializer="orthogonal"),
        ]
    )


def whole_files(folder: Path) -> Iterator[bytes]:
    """Small real files of each kind, in both formats, old ones, with a card, and in Teachable Machine's zip."""
    for form in ("h5", "keras"):
        for make in (functional, sequential):
            path = folder / f"{make.__name__}.{form}"
            model = make()
            model.compile(loss="sparse_categorical_crossentropy")
            model.save(path)
            if make is functional:
                write_card(path, FakeEngine.card_for(8, 8, 3))
            yield path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "sequential.h5", "keras_model.h5")
        archive.writestr("labels.txt", "0 a\n1 b\n")
    yield packed.getvalue()
    for path in sorted(OLD_FILES.glob("*.*")):
        if path.suffix in {".h5", ".keras"} and path.stat().st_size < 200_000:
            yield path.read_bytes()


with tempfile.TemporaryDirectory() as _folder:
    FILES = list(whole_files(Path(_folder)))

ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    7,
    1 << 31,
    1 << 63,
    10**30,
    1e308,
    float("nan"),
    "",
    "softmax",
    "float16",
    "x" * 300,
    "\ud800",
    [],
    {},
    [None, 3],
    [[["a", 0, 0]]],
    {"class_name": "Dense", "config": {"name": "d", "units": 3}, "module": "keras.layers", "registered_name": None},
    {"class_name": "__tuple__", "items": [1, 2]},
    {"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "float32"}},
    attacks.tensor("a"),
]


def places(part: Any) -> list[tuple[Any, Any]]:
    """Each value in JSON, as what holds it and its key there."""
    found: list[tuple[Any, Any]] = []
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        found.append((part, key))
        found += places(value)
    return found


def damage_json(draw: st.DrawFn, text: str | bytes) -> str:
    config = json.loads(text)
    for _ in range(draw(st.integers(1, 3))):
        found = places(config)
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        match draw(st.sampled_from(["set", "drop", "double", "swap"])):
            case "set":
                holder[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
            case "drop":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case _:
                other, place = draw(st.sampled_from(found))
                holder[key] = copy.deepcopy(other[place])
    return json.dumps(config)


def damage_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        match draw(st.sampled_from(["flip", "set", "word", "cut", "drop", "copy"])):
            case "flip" if content:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "set" if content:
                content[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
            case "word":
                content[place : place + 8] = draw(st.sampled_from([bytes(8), b"\xff" * 8, b"\x00\x10" + bytes(6)]))
            case "cut":
                del content[max(place, len(content) // 2) :]
            case "drop":
                del content[place : place + draw(st.integers(1, 64))]
            case "copy":
                source = draw(st.integers(0, max(0, len(content) - 1)))
                content[place : place + 16] = content[source : source + 16]
    return bytes(content)


def damage_hdf5(draw: st.DrawFn, whole: bytes) -> bytes:
    file_like = io.BytesIO(whole)
    with h5py.File(file_like, "r+") as file:
        objects: list[Any] = [file]
        file.visititems(lambda _, item: objects.append(item))
        found = draw(st.sampled_from(objects))
        match draw(st.sampled_from(["config", "config", "config", "attribute", "array", "drop", "link", "rename"])):
            case "config" if "model_config" in file.attrs:
                damaged = damage_json(draw, file.attrs["model_config"])
                file.attrs["model_config"] = damaged.encode("utf-8", "surrogatepass")
            case "attribute":
                names = [*found.attrs, "weight_names", "layer_names", "dtype"]
                odd = [1, "x", b"\xff", np.zeros(3), ["a", "b"], [b"a", b"a"], h5py.Empty("f4"), np.zeros((2, 2))]
                found.attrs[draw(st.sampled_from(names))] = draw(st.sampled_from(odd))
            case "array" if isinstance(found, h5py.Dataset):
                parent, name, values = found.parent, found.name.rsplit("/", 1)[1], found[()]
                del parent[name]
                odd_arrays = [
                    np.asarray(values).reshape(-1),
                    np.asarray(values).astype("f2"),
                    np.asarray(values).astype("i8"),
                    np.full(np.shape(values), np.nan, "f4"),
                    np.zeros((0, 3), "f4"),
                    np.zeros(np.shape(values), "S3"),
                    np.zeros(np.shape(values), "c16"),
                ]
                parent[name] = draw(st.sampled_from(odd_arrays))
            case "drop" if found != file:
                del found.parent[found.name.rsplit("/", 1)[1]]
            case "link":
                group = found if isinstance(found, h5py.Group) else found.parent
                odd_links = [file["/"], h5py.SoftLink("/"), h5py.ExternalLink("/dev/zero", "/")]
                group["odd"] = draw(st.sampled_from(odd_links))
            case "rename" if found != file:
                odd_names = ["0", "vars", "layers", "é", "x" * 90]
                found.parent.move(found.name.rsplit("/", 1)[1], draw(st.sampled_from(odd_names)))
    return file_like.getvalue()


def damage_zip(draw: st.DrawFn, whole: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    place = draw(st.integers(0, len(entries) - 1))
    name, content = entries[place]
    match draw(st.sampled_from(["inside", "inside", "inside", "rename", "drop", "double"])):
        case "inside" if name.endswith(".h5"):
            entries[place] = name, damage_hdf5(draw, content)
        case "inside" if name.endswith(".json"):
            entries[place] = name, damage_json(draw, content).encode("utf-8", "surrogatepass")
        case "inside":
            entries[place] = name, damage_bytes(draw, content)
        case "rename":
            entries[place] = draw(st.sampled_from(["../x", "/x", "config.json", "labels.txt", "x/"])), content
        case "drop":
            del entries[place]
        case "double":
            entries.append(entries[place])
    made = io.BytesIO()
    method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return made.getvalue()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The bytes of a damaged file."""
    whole = draw(st.sampled_from(FILES))
    if draw(st.integers(0, 3)):
        whole = (damage_hdf5 if whole.startswith(b"\x89HDF") else damage_zip)(draw, whole)
    return whole if draw(st.integers(0, 2)) else damage_bytes(draw, whole)
