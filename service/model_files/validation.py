"""Looks into a model file before Keras does, for whatever could harm who loads it. Knows neither Keras nor HTTP.

Run as a program it does so in a process of its own, whose memory and time are bounded: HDF5's library, too, is given
nothing unbounded.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from models.card import ModelFileError

MEMORY_BYTES = 1 << 30  # of addresses; half of it are the libraries themselves
CPU_SECONDS = 20
PIECE_BYTES = 1 << 24  # of a file, that are looked at together
_MOST_CONFIG_BYTES = 8 << 20
_MOST_OBJECTS = 20_000
_DEEPEST = 40

# Layers that only compute on what they are given. Lambda, which holds code, is not among them, and nothing that was
# registered by somebody is.
LAYERS = frozenset(
    """Activation Add AlphaDropout Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv2D
    Conv2DTranspose Cropping2D Dense DepthwiseConv2D Dropout ELU Flatten Functional GaussianDropout GaussianNoise
    GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization InputLayer LayerNormalization LeakyReLU Maximum
    MaxPooling2D Minimum Model Multiply Normalization PReLU Permute RandomBrightness RandomContrast RandomFlip
    RandomRotation RandomTranslation RandomZoom ReLU Rescaling Reshape Resizing SeparableConv2D Sequential Softmax
    SpatialDropout2D Subtract UnitNormalization UpSampling2D ZeroPadding2D""".split()  # noqa: SIM905 - shorter so
)
_LAYER_MODULES = {"keras", "keras.layers", "keras.models", "keras.src.models.functional", "keras.src.models.sequential"}
_PART_MODULES = {"keras.initializers", "keras.regularizers", "keras.constraints"}
_PART_KEYS = ("initializer", "regularizer", "constraint")
_PLAIN = {"DTypePolicy", "__keras_tensor__"}
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def validate(path: Path, max_bytes: int) -> None:
    """Raises ModelFileError for anything in the HDF5 file at `path` that a model has no need of."""
    try:
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise ModelFileError(
                    "it is HDF5, but holds no Keras model; save the whole model with model.save('name.h5')"
                )
            config = file.attrs["model_config"]
            if not isinstance(config, (str, bytes)) or len(config) > _MOST_CONFIG_BYTES:
                raise ModelFileError("its model_config is no text, or one of more than 8 MiB")
            _check_config(json.loads(config), "model", 0)
            _check_objects(file, max_bytes)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(f"its model_config cannot be read as JSON ({error})") from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"it cannot be read as HDF5 ({str(error).splitlines()[0]})") from error


def _check_config(part: Any, key: str, depth: int) -> None:
    """Whether the description of the model names nothing but known layers and their parts."""
    if depth > _DEEPEST:
        raise ModelFileError("its model_config is nested too deeply")
    if isinstance(part, dict):
        if "class_name" in part:
            _check_class(part, key)
        for name, value in part.items():
            _check_config(value, key if name == "config" else str(name), depth + 1)
    elif isinstance(part, list):
        for value in part:
            _check_config(value, key, depth + 1)


def _check_class(part: dict[str, Any], key: str) -> None:
    name, module, registered = part["class_name"], part.get("module"), part.get("registered_name")
    if registered not in (None, name):
        raise ModelFileError(f"it names {registered!r}, which is not Keras's own; only its own layers are loaded")
    known = (
        (name in LAYERS and module in (None, *_LAYER_MODULES))
        or (name in _PLAIN and module in (None, "keras"))
        or (isinstance(name, str) and name.isalnum() and key.endswith(_PART_KEYS) and module in (None, *_PART_MODULES))
    )
    if not known:
        where = f" of {module}" if module else ""
        raise ModelFileError(
            f"it names {name!r:.60}{where}, which is not among the layers that are loaded here; build the model from "
            "Keras's own layers for images, without Lambda"
        )


def _check_objects(file: h5py.File, max_bytes: int) -> None:
    """Whether everything in the file lies in the file, is as large as may be, and is a number where it should be."""
    waiting: list[h5py.Group] = [file]
    seen, declared = set(), 0
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelFileError(f"{name!r:.60} in it is a link to another place; save the model anew")
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                raise ModelFileError(f"{name!r:.60} is in it twice; save the model anew")
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise ModelFileError(f"it holds more than {_MOST_OBJECTS:,} groups and arrays")
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                declared += found.size * found.dtype.itemsize
                if declared > max_bytes:
                    raise ModelFileError(f"its arrays declare more than {max_bytes:,} bytes")
                _check_array(found)


def _check_array(array: h5py.Dataset) -> None:
    settings = array.id.get_create_plist()
    filters = {settings.get_filter(place)[0] for place in range(settings.get_nfilters())}
    if array.is_virtual or array.external or filters - _FILTERS:
        raise ModelFileError(f"the array {array.name} lies in another file, or is packed in a way that is not known")
    if array.dtype.kind not in "fiub":
        return
    if array.dtype.kind == "f":
        rows = array if array.ndim else [array[()]]
        step = max(1, PIECE_BYTES // max(1, array.dtype.itemsize * array.size // max(1, len(rows))))
        for start in range(0, len(rows), step):
            if not np.isfinite(rows[start : start + step]).all():
                raise ModelFileError(f"the array {array.name} holds values that are no numbers; train the model anew")


def _bound_this_process() -> None:
    with suppress(ImportError):  # not there on Windows
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


if __name__ == "__main__":
    _bound_this_process()
    try:
        validate(Path(sys.argv[1]), int(sys.argv[2]))
    except ModelFileError as error:
        sys.stdout.write(str(error))
        sys.exit(1)
