"""How large a model would be, told from its description before anything of it is made. Knows no card."""

import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
from keras.src.backend.common import global_state

from models.card import ModelFileError
from models.card_storage import is_zip
from models.reasons import first_line

MOST_PARAMETERS = 500_000_000
MOST_BYTES_OF_A_LAYER = 2 << 30
# Of `keras.applications`, which HDF5 names without saying where they are.
APPLICATION_LAYERS = {"CustomScaleLayer": CustomScaleLayer, "LayerScale": LayerScale}


@contextmanager
def building_nothing() -> Iterator[None]:
    """Models are built inside of it without their variables, which are never made, not even later."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Keras keeps account of them, and would make them all as soon as it builds anything else.
        global_state.set_global_attribute("uninitialized_variables", [])


def check_sizes(path: Path, copy: Path) -> None:
    """Raises ModelFileError where the model would need more memory than it may; nothing of it is allocated here."""
    try:
        with building_nothing(), keras.saving.custom_object_scope(APPLICATION_LAYERS):
            model = _described(copy)
        parameters = sum(math.prod(variable.shape) for variable in model.weights)
        largest = max(output_sizes(model), default=0)
    except Exception as error:
        raise ModelFileError(
            f"{path}: Keras cannot build the model that the file describes ({first_line(error)}); load it where it was "
            "made, call it once on an image, and save it there with model.save('model.keras')"
        ) from error
    if parameters > MOST_PARAMETERS:
        raise ModelFileError(f"{path} describes {parameters:,} parameters, and at most {MOST_PARAMETERS:,} are loaded")
    stored = _stored_values(copy)
    if parameters > stored:
        raise ModelFileError(
            f"{path} describes {parameters:,} parameters, and holds {stored:,}: weights are missing; save the whole "
            "model with model.save('name.keras')"
        )
    needed = largest * np.dtype(np.float32).itemsize
    if needed > MOST_BYTES_OF_A_LAYER:
        raise ModelFileError(
            f"{path}: one layer needs {needed:,} bytes for an image, and at most {MOST_BYTES_OF_A_LAYER:,} are used"
        )


def _stored_values(copy: Path) -> int:
    """How many values are in the weights of the private copy."""
    found = 0

    def count(_: str, item: h5py.Group | h5py.Dataset) -> None:
        nonlocal found
        found += item.size if isinstance(item, h5py.Dataset) else 0

    with ExitStack() as stack:
        file: Any = copy
        if is_zip(copy):
            file = stack.enter_context(stack.enter_context(zipfile.ZipFile(copy)).open("model.weights.h5"))
        stack.enter_context(h5py.File(file)).visititems(count)
    return found


def _described(copy: Path) -> keras.Model:
    """The model that the description in the private copy builds, without its weights."""
    if is_zip(copy):
        with zipfile.ZipFile(copy) as archive:
            description = json.loads(archive.read("config.json")) | {"compile_config": None}
        return keras.saving.deserialize_keras_object(description, safe_mode=True)
    with h5py.File(copy) as file:
        description = json.loads(file.attrs["model_config"])
    kind = keras.Sequential if description["class_name"] == "Sequential" else keras.Model
    return kind.from_config(description["config"])


def output_sizes(model: keras.Model) -> Iterator[int]:
    """The values for one image in each tensor of the model and of the models inside of it."""
    for operation in getattr(model, "operations", model.layers):  # x / 255 is no layer, but has a size, too
        if isinstance(operation, keras.Model):
            yield from output_sizes(operation)
        output = getattr(operation, "output", None)
        for tensor in keras.tree.flatten(output):
            yield math.prod(size or 1 for size in (getattr(tensor, "shape", None) or ())[1:])
