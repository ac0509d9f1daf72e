"""Reads the attributes of an untrusted HDF5 file that Keras would read: texts, and lists of names. Knows no Keras.

What kind and how large one is, is asked before it is read. Of texts of any length HDF5 does not say it, and thousands
may be one and the same in the file: these are bounded by the memory of the process alone, and by what may come of it.
"""

from collections.abc import Iterator

import h5py

from models.card import ModelFileError

_MOST_NAMES = 20_000  # in one list
_MOST_NAME_BYTES = 1 << 20  # in all of them together
_NAMES_IN_AN_ATTRIBUTE = 1_000  # HDF5 keeps 16 bytes of each in the object's header, which holds 64 KiB


def read_text(holder: h5py.Group | h5py.Dataset, name: str, most_bytes: int) -> str | None:
    """The one text in the attribute `name`; None where there is none.

    Raises ModelFileError for anything but a text, for one that is no UTF-8 or has more than `most_bytes`.
    """
    if name not in holder.attrs:
        return None
    attribute = holder.attrs.get_id(name)
    kind = attribute.get_type()
    if attribute.shape != () or not isinstance(kind, h5py.h5t.TypeStringID):
        raise ModelFileError(f"its {name} is no text; save the model anew")
    if not kind.is_variable_str() and kind.get_size() > most_bytes:
        raise ModelFileError(f"its {name} has more than {most_bytes:,} bytes; save the model anew")
    value = _as_text(name, holder.attrs[name])
    if len(value.encode()) > most_bytes:
        raise ModelFileError(f"its {name} has more than {most_bytes:,} bytes; save the model anew")
    return value


def read_names(holder: h5py.Group, name: str) -> list[str]:
    """The names in the attribute `name`, or in its parts `name0`, `name1`, …; none where there is no such attribute.

    Raises ModelFileError for what is no list of names, for one that is in it twice, and for too many.
    """
    names: list[str] = []
    size = 0
    for key in _parts(holder, name):
        attribute = holder.attrs.get_id(key)
        kind, count = attribute.get_type(), _length(attribute, key)
        if count == 0:
            continue  # Keras writes none as a list of numbers without any
        if not isinstance(kind, h5py.h5t.TypeStringID):
            raise ModelFileError(f"its {key:.60} is no list of names; save the model anew")
        fixed = 0 if kind.is_variable_str() else count * kind.get_size()
        if len(names) + count > _MOST_NAMES or fixed > _MOST_NAME_BYTES:
            raise ModelFileError(f"its {key:.60} is too long a list of names; save the model anew")
        new = [_as_text(key, value) for value in holder.attrs[key]]
        size += sum(map(len, new))
        if size > _MOST_NAME_BYTES:
            raise ModelFileError(f"its {key:.60} is too long a list of names; save the model anew")
        names += new
    if len(set(names)) != len(names):
        raise ModelFileError(f"its {name} has a name twice; save the model anew")
    return names


def write_text(holder: h5py.Group | h5py.Dataset, name: str, text: str) -> None:
    """Put `text` into the attribute `name`: as bytes, which may be more than the 64 KiB of an object's header."""
    holder.attrs[name] = text.encode()


def write_names(holder: h5py.Group, name: str, names: list[str]) -> None:
    """Put `names` into the attribute `name`, or into several where they are many, as Keras does."""
    if len(names) <= _NAMES_IN_AN_ATTRIBUTE:
        holder.attrs.create(name, names, dtype=h5py.string_dtype())
        return
    for part, start in enumerate(range(0, len(names), _NAMES_IN_AN_ATTRIBUTE)):
        holder.attrs.create(f"{name}{part}", names[start : start + _NAMES_IN_AN_ATTRIBUTE], dtype=h5py.string_dtype())


def _parts(holder: h5py.Group, name: str) -> Iterator[str]:
    if name in holder.attrs:
        yield name
        return
    part = 0
    while f"{name}{part}" in holder.attrs:
        if part >= _MOST_NAMES:
            raise ModelFileError(f"its {name} has too many parts; save the model anew")
        yield f"{name}{part}"
        part += 1


def _length(attribute: h5py.h5a.AttrID, key: str) -> int:
    shape = attribute.shape
    if shape is None:
        return 0
    if len(shape) != 1:
        raise ModelFileError(f"its {key:.60} is no list of names; save the model anew")
    return int(shape[0])


def _as_text(name: str, value: object) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, str):
            value.encode()  # what was no UTF-8 is kept as halves of characters
            return value
    except UnicodeError as error:
        raise ModelFileError(f"its {name:.60} is no UTF-8; save the model anew") from error
    raise ModelFileError(f"its {name:.60} is no text; save the model anew")
