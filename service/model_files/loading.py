"""From an untrusted model file to a Keras model that is built and fits its card. Knows no HTTP and no engine."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from models.card import ImageInput, ModelCard, ModelFileError, assumed_card, read_card
from service.model_files.snapshot import ModelFileLimits, snapshot

MOST_PARAMETERS = 500_000_000
MOST_BYTES_OF_A_LAYER = 2 << 30


class LoadedModel(NamedTuple):
    """A Keras model, its card, in words where that comes from, and the first 12 hex digits of its file's SHA-256."""

    model: keras.Model
    card: ModelCard
    card_source: str
    version: str


def load_model(
    path: Path, name: str | None, class_names: tuple[str, ...], max_batch_size: int, limits: ModelFileLimits
) -> LoadedModel:
    """The model in the file at `path`, which is copied and validated first: see `service.model_files.snapshot`.

    It gets `name` where one is given. `class_names` are used where the file has no card. No layer may need too much
    memory for `max_batch_size` rows. Raises ModelFileError, or StorageFailed.
    """
    with snapshot(path, limits) as snapped:
        copy, version = snapped.path, snapped.version
        card = read_card(copy)
        _check_sizes(path, copy, max_batch_size)
        try:
            model = keras.saving.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises many kinds on a model that it cannot build
            reason = str(error).strip().splitlines()[0]
            raise ModelFileError(
                f"Keras {keras.__version__} cannot load {path} ({reason}); save it with that version, without Lambda "
                "or custom layers"
            ) from error
    height, width, channels, classes = _image_shape(model, path)
    card_source = "card read from the file"
    if card is None:
        card, names_source = assumed_card(
            path.stem,
            height,
            width,
            channels,
            classes,
            rescales_itself=any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers[:2]),
            class_names=class_names,
        )
        card_source = (
            f"the file has no card: pixels are multiplied by {card.input.scale:.4g}, class names are {names_source}"
        )
    _check_fit(card.input, len(card.class_names), (height, width, channels, classes), path)
    if name is not None:
        card = card.model_copy(update={"name": name})
    return LoadedModel(model, card, card_source, version)


def _check_sizes(path: Path, copy: Path, max_batch_size: int) -> None:
    """Raises ModelFileError where the model would need more memory than it may; nothing of it is allocated here."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = _described(copy)
        parameters = sum(int(np.prod(variable.shape)) for variable in model.variables)
        largest = max(_output_sizes(model), default=0)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelFileError(f"{path}: Keras cannot build the model that the file describes ({reason})") from error
    if parameters > MOST_PARAMETERS:
        raise ModelFileError(f"{path} describes {parameters:,} parameters, and at most {MOST_PARAMETERS:,} are loaded")
    needed = largest * np.dtype(np.float32).itemsize * max_batch_size
    if needed > MOST_BYTES_OF_A_LAYER:
        raise ModelFileError(
            f"{path}: one layer needs {needed:,} bytes for {max_batch_size} images, and at most "
            f"{MOST_BYTES_OF_A_LAYER:,} are used; take a lower --max-batch-size, or a model of smaller maps"
        )


def _described(copy: Path) -> keras.Model:
    """The model that the description in the private copy builds, without its weights."""
    if copy.suffix == ".keras":
        with zipfile.ZipFile(copy) as archive:
            description = json.loads(archive.read("config.json")) | {"compile_config": None}
        return keras.saving.deserialize_keras_object(description, safe_mode=True)
    with h5py.File(copy) as file:
        description = json.loads(file.attrs["model_config"])
    kind = keras.Sequential if description["class_name"] == "Sequential" else keras.Model
    return kind.from_config(description["config"])


def _output_sizes(model: keras.Model) -> Iterator[int]:
    """The values for one image in each tensor of the model and of the models inside of it."""
    for operation in getattr(model, "operations", model.layers):  # x / 255 is no layer, but has a size, too
        if isinstance(operation, keras.Model):
            yield from _output_sizes(operation)
        output = getattr(operation, "output", None)
        for tensor in keras.tree.flatten(output):
            yield int(np.prod([size or 1 for size in (getattr(tensor, "shape", None) or ())[1:]], dtype=np.float64))


def _image_shape(model: keras.Model, path: Path) -> tuple[int, int, int, int]:
    """Height, width, channels and classes of an image classifier. Raises ModelFileError for any other model."""
    try:
        taken, given = model.input_shape, model.output_shape
        (_, height, width), channels = taken[:3], taken[3] if len(taken) == 4 else 1
        (_, classes) = given
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise _unfit(model, path) from error
    if len(taken) > 4 or not all(isinstance(size, int) for size in (height, width, channels, classes)) or classes < 2:
        raise _unfit(model, path)
    return height, width, channels, classes


def _unfit(model: keras.Model, path: Path) -> ModelFileError:
    taken, given = (
        getattr(model, "input_shape", "nothing defined"),
        getattr(model, "output_shape", "nothing defined"),
    )
    return ModelFileError(
        f"{path} is no image classifier: it takes {taken} and gives {given}, expected one input (batch, height, width, "
        "channels) of fixed size and one output (batch, classes) with a softmax over 2 classes or more"
    )


def _check_fit(wanted: ImageInput, names: int, shape: tuple[int, int, int, int], path: Path) -> None:
    said = (wanted.height, wanted.width, wanted.channels, names)
    if said != shape:
        raise ModelFileError(
            f"{path}: card or settings name (height, width, channels, classes) = {said}, but the model has {shape}; "
            "train the model again, or give as many class names as it has classes"
        )
