"""Draws the parts of a data set that its author did not give, stratified by class. Knows no files and no pixels."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.picture_folders import Part
from training.errors import DataError
from training.listing import PARTS, counted, some_of

Integers = npt.NDArray[np.intp]

_TRAINING = PARTS.index("training")
_FOR: dict[Part, str] = {"training": "for training", "validation": "for validation", "test": "for the test"}


def drawn_parts(
    labels: Integers,
    parts: Integers,
    groups: Integers,
    class_names: Sequence[str],
    shares: Mapping[Part, float],
    seed: int,
) -> Integers:
    """The part of each image, (count,), as an index of PARTS.

    That is the one in `parts`, except that for each part in `shares` such a share of the training images of each class
    is drawn, and one of them at least. Images of one class with the same number in `groups` come into the same part.
    Raises DataError where a class has too few for that, or none in a part that was given.
    """
    drawn = parts.copy()
    for label, name in enumerate(class_names):
        rows = np.flatnonzero((labels == label) & (parts == _TRAINING))
        if not shares or not rows.size:
            continue
        left = _grouped(np.random.default_rng([seed, label]).permutation(rows), groups)
        counts = _counts(name, len(rows), len(left), shares)
        for number, part in enumerate(counts):
            # Each of the parts that follow needs a group, and so does training.
            taken = _taken(left, counts[part], len(left) - len(counts) + number)
            drawn[[row for index in taken for row in left[index]]] = PARTS.index(part)
            left = [group for index, group in enumerate(left) if index not in taken]
    _check_every_class(labels, drawn, class_names)
    return drawn


def shuffled_members(parts: Integers, seed: int) -> list[Integers]:
    """For each of PARTS, which images are of it, in an order that tells nothing of their classes."""
    shuffled = np.random.default_rng(seed).permutation(len(parts))
    return [shuffled[parts[shuffled] == part] for part in range(len(PARTS))]


def _counts(name: str, images: int, groups: int, shares: Mapping[Part, float]) -> dict[Part, int]:
    """How many images of a class each part is to get."""
    needed = len(shares) + 1
    if groups < needed:
        found = counted(images, "image") + (" for training" if groups == images else f", {groups} of them different,")
        each = " and one ".join(_FOR[part] for part in ("training", *shares))
        raise DataError(
            f"the class {name} has {found} and needs at least {needed}, one {each}; add some, or remove the class"
        )
    counts = {part: max(1, round(share * images)) for part, share in shares.items()}
    if sum(counts.values()) >= images:
        told = " and ".join(f"{count} are held out {_FOR[part]}" for part, count in counts.items())
        raise DataError(
            f"of the {images} images of the class {name} {told}, which leaves none for training; choose a lower "
            "--validation-share, or add images"
        )
    return counts


def _grouped(rows: Integers, groups: Integers) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for row in rows.tolist():
        found.setdefault(int(groups[row]), []).append(row)
    return list(found.values())


def _taken(groups: list[list[int]], images: int, most: int) -> set[int]:
    """Which groups to take for so many images: the first ones that do not exceed them, at most so many groups."""
    taken: set[int] = set()
    for index, group in enumerate(groups):
        if len(group) <= images and len(taken) < most:
            taken.add(index)
            images -= len(group)
    return taken or {min(range(len(groups)), key=lambda index: len(groups[index]))}


def _check_every_class(labels: Integers, parts: Integers, class_names: Sequence[str]) -> None:
    for place, part in enumerate(PARTS):
        counts = np.bincount(labels[parts == place], minlength=len(class_names))
        if not counts.all():
            missing = [name for name, count in zip(class_names, counts, strict=True) if not count]
            raise DataError(
                f"there is no image {_FOR[part]} of the class{'es' if len(missing) > 1 else ''} {some_of(missing)}; "
                "each part needs some of each class: add them, or remove the class everywhere"
            )
