"""What a place is that models are fetched from. Knows none of them."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol

from models.card import ModelFileError
from models.printable import printable
from models.reasons import first_line
from service.errors import ServiceError

Write = Callable[[Iterable[bytes]], None]
PIECE_BYTES = 1 << 20
# By which one of several files is known to be the model.
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
# Seconds; how long all of a file may take is for the operator to say.
CONNECT_S, READ_S = 10.0, 30.0


# What libraries quote of addresses.
_USER, _SIGNED = re.compile(r"://[^/\s@]+@"), re.compile(r"\?\S+")


class SourceUnavailable(ModelFileError):
    """The source does not answer, or does not have the file, or does not give it to us; later it may."""


class RemoteSource(Protocol):
    """One model file elsewhere, and the files beside it. Used by one thread at a time."""

    shown: str
    """Its address, without secrets."""
    file_name: str
    """What the file is called."""

    def fetch(self, known: str | None, write: Write, max_bytes: int) -> str | None:
        """Give the file to `write`, piece by piece, and return its revision; None where that is `known` already.

        A revision is "" where the source tells none. Raises SourceUnavailable, ModelFileError where it says itself that
        the file has more than `max_bytes`, and what `write` raises.
        """

    def beside(self, name: str, max_bytes: int) -> bytes | None:
        """The small file `name` beside it, of the revision that was fetched last; None where there is none.

        Raises as `fetch` does.
        """


def need_package(package: str, extra: str, shown: str) -> None:
    """Raise ModelFileError where `package` is not installed, and say which extra brings it."""
    if find_spec(package) is None:
        raise ModelFileError(
            f"{shown} needs the package {package}, which is not installed; install the extra {extra}: "
            f"pip install 'keras-image-service[{extra}]'"
        )


def check_size(size: int | None, max_bytes: int, shown: str) -> None:
    """Raise ModelFileError for more than `max_bytes`."""
    if size is not None and size > max_bytes:
        raise ModelFileError(f"{shown} has {size:,} bytes, more than the {max_bytes:,} of --max-model-bytes")


@contextmanager
def asking(shown: str, *secrets: str) -> Iterator[None]:
    """Whatever a library raises meanwhile is SourceUnavailable, told without the `secrets`."""
    try:
        yield
    except (ModelFileError, ServiceError, MemoryError):
        raise
    except Exception as error:  # libraries for clouds raise anything
        reason = _SIGNED.sub("?…", _USER.sub("://…@", first_line(error)))
        for secret in filter(None, secrets):
            reason = reason.replace(secret, "…")
        raise SourceUnavailable(f"{shown} cannot be fetched: {type(error).__name__}: {printable(reason)}") from None
