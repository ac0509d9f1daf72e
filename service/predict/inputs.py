"""Which files are meant: those that are named, and in folders those that are pictures. Knows no model."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO

from models.image_errors import ImageError
from models.image_formats import format_of
from models.picture_folders import is_system_file
from models.regular_files import open_regular
from service.predict.errors import WrongUse

_STANDARD_INPUT = "-"
# A file with one of these is meant to be a picture, be it one that can be read or not.
_SUFFIXES = frozenset(
    (
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".avif", ".tif", ".tiff"),
        *(".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".ico"),
        *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
    )
)
_FIRST_BYTES = 2_000


@dataclass
class Inputs:
    """The paths in order, each once, as they were named or found; and what is left out, as lines for a person."""

    paths: list[str] = field(default_factory=list)
    others: int = 0
    twice: int = 0
    linked: int = 0
    unread: list[str] = field(default_factory=list)

    def notices(self) -> list[str]:
        """What is told of it."""
        told = [f"the folder {folder} and what is below it is left out" for folder in self.unread]
        if self.others:
            told.append(f"{self.others:,} files in the folders are no pictures and are left out")
        if self.linked:
            told.append(f"{self.linked:,} links to folders are left out; name the folders themselves")
        if self.twice:
            told.append(f"{self.twice:,} paths were named more than once; each has one row")
        return told


def listed(given: Sequence[str], leave_out: Sequence[Path], standard_input: BinaryIO | None = None) -> Inputs:
    """What is `given` on the command line, without what is in the folders `leave_out` below it.

    Folders are walked in order of names, without hidden ones and those of systems. Files that are named stay in, be
    they pictures or not. Raises WrongUse where there is nothing of a name that was given.
    """
    found = Inputs()
    seen: set[str] = set()
    for path in _walked(given, leave_out, found, standard_input or sys.stdin.buffer):
        if path in seen:
            found.twice += 1
            continue
        seen.add(path)
        found.paths.append(path)
    if not found.paths:
        raise WrongUse(f"there is no picture in {', '.join(given)}; name a folder that holds some, or files")
    return found


def _walked(given: Sequence[str], leave_out: Sequence[Path], found: Inputs, standard_input: BinaryIO) -> Iterator[str]:
    for one in given:
        if one == _STANDARD_INPUT:
            for path in _read_paths(standard_input):
                yield from _below(path, leave_out, found) if Path(path).is_dir() else (path,)
        elif Path(one).is_dir():
            yield from _below(one, leave_out, found)
        elif os.path.lexists(one):
            yield _tidied(one)
        else:
            raise WrongUse(f"there is no file or folder {one}; expected folders, files, or - to read their names")


def _tidied(path: str) -> str:
    """Without `./` and `//`. What `..` leads to behind a link only the system knows, so it stays."""
    return str(PurePath(path))


def _read_paths(standard_input: BinaryIO) -> list[str]:
    """By lines; or by zero bytes where there is one, as `find -print0` writes."""
    content = standard_input.read()
    separator = b"\0" if b"\0" in content else b"\n"
    lines = (
        content.split(separator) if separator == b"\0" else [line.rstrip(b"\r") for line in content.split(separator)]
    )
    return [_tidied(os.fsdecode(line)) for line in lines if line]


def _below(folder: str, leave_out: Sequence[Path], found: Inputs) -> Iterator[str]:
    left_out = [one.resolve() for one in leave_out]

    def unread(error: OSError) -> None:
        found.unread.append(f"{error.filename} ({error.strerror or error})")

    for parent, folders, files in os.walk(_tidied(folder), onerror=unread):
        kept = []
        for name in sorted(folders):
            path = Path(parent, name)
            if is_system_file(name) or (left_out and path.resolve() in left_out):
                continue
            if path.is_symlink():
                found.linked += 1
            else:
                kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            if is_system_file(name):
                continue
            # Not by Path, because one for each of a million files takes seconds.
            file = os.path.join(parent, name).removeprefix("./")  # noqa: PTH118
            if os.path.splitext(name)[1].lower() in _SUFFIXES or _is_picture(file):  # noqa: PTH122
                yield file
            else:
                found.others += 1


def _is_picture(path: str) -> bool:
    """Whether its first bytes are those of a picture; some have another suffix or none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return False
        with open_regular(Path(path)) as file:
            format_of(file.read(_FIRST_BYTES))
    except (OSError, ImageError):
        return False
    return True
