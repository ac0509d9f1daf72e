"""What a listing of pictures says: the class and the part of each file. Knows no layout and no pixels."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from models.picture_folders import Part

PARTS: tuple[Part, ...] = ("training", "validation", "test")


class LeftOut(NamedTuple):
    """A file that is not used, and why."""

    path: Path
    reason: str


class ListedPicture(NamedTuple):
    """A file that is to hold a picture, the index of its class, and its part: training where none was given."""

    path: Path
    label: int
    part: Part


class Listing(NamedTuple):
    """All files of a data set. `remarks` are for the person who named it: what was assumed, what is not used."""

    class_names: tuple[str, ...]
    pictures: tuple[ListedPicture, ...]
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def missing_parts(self) -> tuple[Part, ...]:
        """Those that the author gave no picture, so that they have to be drawn from the training part."""
        given = {picture.part for picture in self.pictures}
        return tuple(part for part in PARTS[1:] if part not in given)


def some_of(names: Iterable[str], most: int = 8) -> str:
    """The names in a row, for a sentence; of many, the first ones and how many more there are."""
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most:,} more" if len(every) > most else "")


def counted(count: int, what: str) -> str:
    """`1 image`, `2,000 images`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
