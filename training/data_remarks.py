"""Tells on the console what a person should know of their data before it is trained on. Knows no pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console

from models.printable import printable
from training.listing import LeftOut

_MOST_FILES = 20
_MOST_PAIRS = 5
_IMBALANCE = 3


class Copy(NamedTuple):
    """An image that is held out, the one like it that the network sees before, and whether their bytes are the same."""

    held_out: Path
    seen: Path
    same_bytes: bool


def tell(console: Console, text: str) -> None:
    """One line, with what names of files may hold made harmless."""
    console.print(printable(text), soft_wrap=True, markup=False, highlight=False)


def tell_left_out(console: Console, left_out: Sequence[LeftOut]) -> None:
    """The files that are not used, and why."""
    if left_out:
        tell(console, f"{len(left_out):,} of the files cannot be used and are left out:")
        _tell_some(console, [f"{file.path}: {file.reason}" for file in left_out], _MOST_FILES)


def tell_copies(console: Console, part: str, images: int, seen_in: str, copies: Sequence[Copy]) -> None:
    """How many of the images of a part the network sees before it is judged by them, and what follows."""
    if not copies:
        return
    same = sum(copy.same_bytes for copy in copies)
    tell(
        console,
        f"{len(copies):,} of the {images:,} images for {part} are also among those for {seen_in}: {same:,} the same "
        f"file, {len(copies) - same:,} nearly the same image. The accuracy for {part} may be up to "
        f"{len(copies) / images:.3f} too good; leave them out, or put both into one part:",
    )
    pairs = [f"{copy.held_out} {'is' if copy.same_bytes else 'is nearly'} {copy.seen}" for copy in copies]
    _tell_some(console, pairs, _MOST_PAIRS)


def tell_contradictions(console: Console, contradictions: Sequence[tuple[Path, ...]]) -> None:
    """Files of the same content that lie in different classes."""
    if contradictions:
        times = "image is" if len(contradictions) == 1 else "images are"
        tell(console, f"{len(contradictions):,} {times} in several classes, of which one can be right at most:")
        _tell_some(console, [" is ".join(map(str, paths)) for paths in contradictions], _MOST_PAIRS)


def tell_imbalance(console: Console, labels: npt.NDArray[np.integer], class_names: Sequence[str]) -> None:
    """Where some classes have several times as many training images as others."""
    counts = np.bincount(labels, minlength=len(class_names))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    if counts[most] > _IMBALANCE * counts[fewest]:
        tell(
            console,
            f"The classes differ in size, from {counts[fewest]:,} images for training of {class_names[fewest]} to "
            f"{counts[most]:,} of {class_names[most]}: the network will be inclined to the large ones; add images of "
            "the small ones, or let each class count the same with --class-weights balanced",
        )


def _tell_some(console: Console, lines: Sequence[str], most: int) -> None:
    for line in lines[:most]:
        tell(console, f"  {line}")
    if len(lines) > most:
        console.print(f"  and {len(lines) - most:,} more")
