"""What an explaining process could send whose model has taken it over: bytes in the place of an answer."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_LENGTH = struct.Struct("!Q")


class _CallsPrint:
    def __reduce__(self) -> Any:
        return print, ("harm",)


def _message(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _answer(value: object) -> bytes:
    return _message(pickle.dumps((value, None)))


def calls_a_function() -> bytes:
    """Costs an unprotected service everything: it runs what the sender names."""
    return _answer(_CallsPrint())


def calls_a_function_from_within() -> bytes:
    """The same deep in what looks like a result."""
    return _answer({"deep": [(_CallsPrint(),)]})


def array_of_objects() -> bytes:
    """The same from the elements of an array."""
    return _answer(np.array([_CallsPrint()]))


def names_a_function() -> bytes:
    """Costs nothing by itself, and gives the sender's function to whoever uses the value."""
    return _answer(print)


def other_object() -> bytes:
    """An object that no explanation has: whatever its class does when it is made is done."""
    return _answer(Path("/"))


FOREIGN: tuple[Callable[[], bytes], ...] = (
    calls_a_function,
    calls_a_function_from_within,
    array_of_objects,
    names_a_function,
    other_object,
)


def no_pickle() -> bytes:
    """Costs an unprotected service a traceback and the connection."""
    return _message(b"no pickle")


def empty() -> bytes:
    """The same, with nothing in it."""
    return _message(b"")


def no_answer() -> bytes:
    """Values that can be built, but are no answer: the caller gets whatever that is."""
    return _message(pickle.dumps((1, 2, 3)))


MALFORMED: tuple[Callable[[], bytes], ...] = (no_pickle, empty, no_answer)


def forged_array(kind: str, shape: tuple[int, ...], content: bytes) -> bytes:
    """An array that is not what it says: memory beyond its bytes, or addresses taken for objects."""

    class Forged(pickle.Pickler):
        def persistent_id(self, obj: object) -> Any:
            return (kind, shape, content) if isinstance(obj, range) else None

    buffer = io.BytesIO()
    Forged(buffer).dump((range(1), None))
    return _message(buffer.getvalue())


def endless() -> bytes:
    """Only a length, of an exabyte: costs an unprotected service that much memory."""
    return _LENGTH.pack(1 << 60)
