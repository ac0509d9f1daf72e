"""Whether an HDF5 file holds nothing but groups and arrays of numbers, all in the file itself. Knows no Keras."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from models.card import ModelFileError
from models.reasons import first_line

_MOST_OBJECTS = 20_000
_DEEPEST = 200
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_NUMBERS = "fiub"  # of NumPy's kinds of types: floats, whole numbers, bool
_MOST_NUMBER_BYTES = 8
BFLOAT16 = "V2"  # NumPy has no bfloat16: h5py keeps it as two bytes of no kind


@contextmanager
def opened_hdf5(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file at `path`. Raises ModelFileError where it is damaged, also if that is found while it is read."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except RecursionError as error:
        raise ModelFileError("its description of the model is nested too deeply") from error
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ModelFileError(
            f"it cannot be read as HDF5 ({first_line(error):.80}); copy or download it again"
        ) from error


def check_objects(file: h5py.File, max_bytes: int) -> None:
    """Raise ModelFileError unless all that is in `file` lies in it, once, and declares no more than `max_bytes`.

    Nothing of an array is read.
    """
    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    seen, declared = {address_of(file)}, 0
    while waiting:
        group, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ModelFileError(f"its groups lie more than {_DEEPEST} deep in each other; save the model anew")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelFileError(f"{name!r:.60} in it is a link to another place; save the model anew")
            found = group[name]
            if not isinstance(found, h5py.Group | h5py.Dataset):
                raise ModelFileError(f"{name!r:.60} in it is neither a group nor an array; save the model anew")
            address = address_of(found)
            if address in seen:
                raise ModelFileError(f"{name!r:.60} is in it twice; save the model anew")
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise ModelFileError(f"it holds more than {_MOST_OBJECTS:,} groups and arrays")
            if isinstance(found, h5py.Group):
                waiting.append((found, depth + 1))
                continue
            _check_array(found, name)
            declared += found.size * found.dtype.itemsize
            if declared > max_bytes:
                raise ModelFileError(f"its arrays declare more than {max_bytes:,} bytes")


def address_of(found: h5py.Group | h5py.Dataset) -> int:
    """Where it lies in its file: the same for one that has two names."""
    return int(h5py.h5o.get_info(found.id).addr)


def _check_array(array: h5py.Dataset, name: str) -> None:
    settings = array.id.get_create_plist()
    filters = {settings.get_filter(place)[0] for place in range(settings.get_nfilters())}
    if array.is_virtual or array.external or filters - _FILTERS:
        raise ModelFileError(
            f"the array {name!r:.60} lies in another file, or is packed in a way that is not known; save it anew"
        )
    dtype = array.dtype
    numbers = dtype.kind in _NUMBERS and dtype.itemsize <= _MOST_NUMBER_BYTES and not dtype.subdtype
    if array.shape is None or not (numbers or dtype == BFLOAT16):
        raise ModelFileError(f"the array {name!r:.60} is not of numbers ({dtype!s:.40}); save the model anew")
