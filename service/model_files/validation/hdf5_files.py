"""Whether an HDF5 file holds nothing but a model: a description, and arrays of numbers in it. Knows no Keras."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from models.card import ModelFileError
from models.reasons import first_line
from service.model_files.validation.description import check_description

MOST_CONFIG_BYTES = 8 << 20
_PIECE_BYTES = 1 << 24  # of an array, that are looked at together
_MOST_OBJECTS = 20_000
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def check_model(path: Path, max_bytes: int) -> None:
    """Raise ModelFileError for anything in the model at `path` that a model has no need of."""
    with _opened(path) as file:
        config = file.attrs["model_config"]
        if not isinstance(config, str | bytes) or len(config) > MOST_CONFIG_BYTES:
            raise ModelFileError("its model_config is no text, or one of more than 8 MiB")
        check_description(parsed(config, "model_config"))
        _check_objects(file, max_bytes)


def check_weights(path: Path, max_bytes: int) -> None:
    """Raise ModelFileError for anything in the weights at `path` that is no array of numbers in it."""
    with _opened(path) as file:
        _check_objects(file, max_bytes)


def parsed(text: str | bytes, what: str) -> Any:
    """The JSON `text`, which is called `what`. Raises ModelFileError where it is none, or nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"its {what} cannot be read as JSON ({error!s:.80}); save the model anew") from error


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except RecursionError as error:
        raise ModelFileError("its description of the model is nested too deeply") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelFileError(
            f"it cannot be read as HDF5 ({first_line(error):.80}); copy or download it again"
        ) from error


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
        raise ModelFileError(
            f"the array {array.name:.60} lies in another file, or is packed in a way that is not known; save it anew"
        )
    if array.dtype.kind == "f":
        rows = array if array.ndim else [array[()]]
        step = max(1, _PIECE_BYTES // max(1, array.dtype.itemsize * array.size // max(1, len(rows))))
        for start in range(0, len(rows), step):
            if not np.isfinite(rows[start : start + step]).all():
                raise ModelFileError(
                    f"the array {array.name:.60} holds values that are no numbers; train the model again"
                )
