"""Writes the model, or the weights, in an untrusted HDF5 file anew: only what Keras reads of them. Knows no Keras.

Of the file that somebody sent no structure reaches Keras: no attribute, no type, no packing but what is written here.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from models.card import ModelFileError
from models.card_storage import ATTRIBUTE, MOST_ATTRIBUTE_BYTES
from service.errors import StorageFailed, writing_temporary_files
from service.model_files.validation.building import quick_to_build
from service.model_files.validation.description import safe_description
from service.model_files.validation.hdf5_attributes import read_names, read_text, write_names, write_text
from service.model_files.validation.hdf5_files import BFLOAT16, address_of, check_objects, opened_hdf5

MOST_CONFIG_BYTES = 8 << 20
_MOST_WORD_BYTES = 1_000
_MOST_LOSS_BYTES = 64 << 10
_MOST_VALUES = 1_000_000  # of JSON, which take a hundred bytes each once they are read
_BEFORE_VALUES = (b",", b"[", b"{")
_WORDS = ("keras_version", "backend")
_LISTS = ("layer_names", "weight_names")
_PIECE_BYTES = 1 << 24  # of an array, that are looked at together
_BFLOAT16_EXPONENT = 0x7F80


def copy_model(source: Path, target: Path, max_bytes: int) -> None:
    """Write to `target` the model in the HDF5 file at `source`. Raises ModelFileError, StorageFailed."""
    with opened_hdf5(source) as file, _created(target) as made:
        text = read_text(file, "model_config", MOST_CONFIG_BYTES)
        if text is None:
            raise ModelFileError("it has no model_config; save the whole model with model.save('model.keras')")
        description = quick_to_build(safe_description(parsed(text, "model_config")))
        check_objects(file, max_bytes)
        write_text(made, "model_config", json.dumps(description))
        write_text(made, "training_config", json.dumps({"loss": _loss_in(file)}))
        card = read_text(file, ATTRIBUTE, MOST_ATTRIBUTE_BYTES)
        if card is not None:
            write_text(made, ATTRIBUTE, card)
        _copy_words(file, made)
        weights = file.get("model_weights")
        if isinstance(weights, h5py.Group):
            _copy_group(weights, made.create_group("model_weights"))
            _check_named_once(made["model_weights"])


def copy_weights(source: Path, target: Path, max_bytes: int) -> None:
    """Write to `target` the weights in the HDF5 file at `source`. Raises ModelFileError, StorageFailed."""
    with opened_hdf5(source) as file, _created(target) as made:
        check_objects(file, max_bytes)
        _copy_group(file, made, without="optimizer")


def parsed(text: str | bytes, what: str) -> Any:
    """The JSON `text`, which is called `what`.

    Raises ModelFileError where it is none, nested too deeply, or of more values than are worth the memory.
    """
    content = text if isinstance(text, bytes) else text.encode()
    if sum(map(content.count, _BEFORE_VALUES)) > _MOST_VALUES:
        raise ModelFileError(f"its {what} has more than {_MOST_VALUES:,} values; build a smaller model")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its {what} cannot be read as JSON ({error!s:.80}); save the model anew") from error


def _loss_in(file: h5py.File) -> Any:
    """The loss of how the model was compiled, or None: it is a hint, and no model is refused for it."""
    try:
        loss = parsed(read_text(file, "training_config", MOST_CONFIG_BYTES) or "{}", "training_config").get("loss")
        return loss if len(json.dumps(loss)) <= _MOST_LOSS_BYTES else None
    except (ModelFileError, AttributeError):
        return None


@contextmanager
def _created(target: Path) -> Iterator[h5py.File]:
    with writing_temporary_files():
        target.open("xb").close()
        made = h5py.File(target, "w")
    try:
        yield made
    finally:
        with writing_temporary_files():
            made.close()


def _copy_words(group: h5py.Group, made: h5py.Group) -> None:
    for name in _WORDS:
        word = read_text(group, name, _MOST_WORD_BYTES)
        if word is not None:
            write_text(made, name, word)


def _copy_group(source: h5py.Group, target: h5py.Group, without: str | None = None) -> None:
    waiting = [(source, target)]
    while waiting:
        group, made = waiting.pop()
        _copy_words(group, made)
        for name in _LISTS:
            write_names(made, name, read_names(group, name))
        for name, item in group.items():
            if name == without and group is source:
                continue
            if isinstance(item, h5py.Group):
                waiting.append((item, made.create_group(name)))
            else:
                _copy_array(item, made, name)


def _copy_array(array: h5py.Dataset, made: h5py.Group, name: str) -> None:
    copy = made.create_dataset(name, array.shape, np.dtype(array.dtype.str))
    if array.dtype == BFLOAT16:
        copy.attrs["dtype"] = "bfloat16"
    for part in _parts(array):
        values = array[part]
        if not _finite(values):
            raise ModelFileError(f"the array {array.name:.60} holds values that are no numbers; train the model again")
        try:
            copy[part] = values
        except OSError as error:
            raise StorageFailed(error) from error


def _parts(array: h5py.Dataset) -> Iterator[Any]:
    """Places in the array, of a few MB each: whole rows."""
    if not array.ndim or not array.size:
        yield from [()] * (array.size > 0)
        return
    step = max(1, _PIECE_BYTES // (array.dtype.itemsize * array.size // len(array)))
    for start in range(0, len(array), step):
        yield slice(start, start + step)


def _finite(values: npt.NDArray[Any]) -> bool:
    values = np.asarray(values)
    if values.dtype == BFLOAT16:
        bits = np.frombuffer(values.tobytes(), np.uint16)
        return bool(np.all(bits & _BFLOAT16_EXPONENT != _BFLOAT16_EXPONENT))
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _check_named_once(weights: h5py.Group) -> None:
    """Whether each array is among the weights of one layer alone: Keras reads one as often as it is named."""
    named: set[int] = set()
    for layer in [*read_names(weights, "layer_names"), "top_level_model_weights"]:
        group = weights.get(layer)
        if not isinstance(group, h5py.Group):
            continue  # Keras says that it is missing
        for name in read_names(group, "weight_names"):
            array = group.get(name)
            if not isinstance(array, h5py.Dataset):
                continue
            address = address_of(array)
            if address in named:
                raise ModelFileError(f"the weights {name!r:.60} are those of two layers; save the model anew")
            named.add(address)
