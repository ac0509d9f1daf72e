"""Writes a file whole or not at all: beside its place first. Knows no format."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A place beside `target`, of the same suffix, for a file which takes its place once it is whole. Raises OSError.

    Whatever happens, at `target` is what was there before, or all of what is new.
    """
    beside = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
