"""Where a model file keeps its card: in an attribute of HDF5, or an entry of a `.keras`. Knows not what the card says.

Which of both a file is, is told by its first bytes. Everything that is read is bounded.
"""

import os
import shutil
import zipfile
from pathlib import Path

import h5py

from models.regular_files import open_regular

ATTRIBUTE = "model_card"
ENTRY = "model_card.json"
# HDF5 keeps an attribute in the object's header, which holds 64 KiB; Keras draws the same line.
MOST_ATTRIBUTE_BYTES = 64_512
MOST_ENTRY_BYTES = 4 << 20


class NoModelError(ValueError):
    """The file is whole, but there is no Keras model in it."""


def is_zip(path: Path) -> bool:
    """Whether the file at `path` begins as a zip does. Raises OSError, also for what is no regular file."""
    with open_regular(path) as file:
        return file.read(4) == b"PK\x03\x04"


def most_bytes(path: Path) -> int:
    """How long a card may be in the file at `path`. Raises OSError."""
    return MOST_ENTRY_BYTES if is_zip(path) else MOST_ATTRIBUTE_BYTES


def read_text(path: Path) -> str | bytes | None:
    """The text in the file at `path`, or None.

    Raises NoModelError; OSError for a file that is not there or no HDF5, BadZipFile for a damaged zip; ValueError for
    what is no text, or too long.
    """
    if is_zip(path):
        return _read_entry(path)
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise NoModelError("an HDF5 file")
        # One of many texts may be many times as large as its file, in which all of them can be one.
        if ATTRIBUTE in file.attrs and file.attrs.get_id(ATTRIBUTE).shape != ():
            raise ValueError("it is no text")
        content = file.attrs.get(ATTRIBUTE)
    if content is not None and not isinstance(content, str | bytes):
        raise ValueError("it is no text")
    return content


def write_text(path: Path, content: str) -> None:
    """Put `content` into the file at `path`, in place of what is there; a `.keras` is replaced as a whole, or not."""
    if is_zip(path):
        _write_entry(path, content)
        return
    with h5py.File(path, "r+") as file:
        file.attrs[ATTRIBUTE] = content


def _read_entry(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "config.json" not in names:
            raise NoModelError("a zip")
        if ENTRY not in names:
            return None
        with archive.open(ENTRY) as source:
            content = source.read(MOST_ENTRY_BYTES + 1)
    if len(content) > MOST_ENTRY_BYTES:
        raise ValueError(f"it has more than {MOST_ENTRY_BYTES:,} bytes")
    return content


def _write_entry(path: Path, content: str) -> None:
    beside = path.with_name(f".{path.stem}.{os.getpid()}.zip-in-the-making")
    try:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(beside, "x") as new:
            for entry in old.infolist():
                if entry.filename != ENTRY:
                    _copy_entry(old, entry, new)
            new.writestr(ENTRY, content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _copy_entry(old: zipfile.ZipFile, entry: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    made = zipfile.ZipInfo(entry.filename, entry.date_time)
    made.compress_type, made.external_attr = entry.compress_type, entry.external_attr
    made.file_size = entry.file_size  # by which it is decided whether four bytes are enough for sizes
    with old.open(entry) as source, new.open(made, "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)
