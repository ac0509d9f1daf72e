"""Somebody's own pictures, from a folder or a CSV file, as a Split of arrays. Knows no network."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from models.card import ImageInput
from models.picture_folders import Part
from training.csv_listing import list_csv
from training.data import Split
from training.data_remarks import Copy, tell, tell_contradictions, tell_copies, tell_left_out
from training.errors import DataError
from training.folder_listing import list_folder
from training.listing import PARTS, LeftOut, Listing
from training.near_duplicates import ALIKE, groups_of, most_alike
from training.reading import Images, put_in_order, read_images
from training.splitting import drawn_parts, shuffled_members

Integers = npt.NDArray[np.intp]

_TEST_SHARE = 0.1


def load_folder(place: Path, wanted: ImageInput, validation_share: float, seed: int, console: Console) -> Split:
    """Every image that `place`, a folder or a CSV file, holds or names, as the network is to see it.

    Parts that are given are kept. A tenth of the training images is drawn for the test where there is none, and
    `validation_share` of them for validation, of each class alike; images that are alike come into one part. They are
    prepared as the service prepares them, whatever `wanted` says of scale and offset, and kept on disk in a temporary
    file. What is assumed, left out, or doubtful is told on `console`. Raises DataError.
    """
    listing = list_csv(place) if place.is_file() else list_folder(place)
    shares = {part: {"validation": validation_share, "test": _TEST_SHARE}[part] for part in listing.missing_parts}
    _tell_listing(console, place, listing, shares)
    paths = [picture.path for picture in listing.pictures]
    labels = np.array([picture.label for picture in listing.pictures], np.intp)
    parts = np.array([PARTS.index(picture.part) for picture in listing.pictures], np.intp)
    every = np.arange(len(paths))
    # What is wrong by the names of the files alone is told before all of them are read.
    drawn_parts(labels, parts, every, listing.class_names, shares, seed)

    images = read_images(paths, wanted, console)
    unreadable = [LeftOut(paths[row], fault) for row, fault in sorted(images.faults.items())]
    tell_left_out(console, [*listing.left_out, *unreadable])
    readable = np.setdiff1d(every, list(images.faults))
    if not readable.size:
        raise DataError(
            f"{place}: none of its {len(paths):,} files can be read, {unreadable[0].path} the first of them"
        )
    drawn_from = readable[parts[readable] == PARTS.index("training")]
    groups = _groups(images, labels, drawn_from, len(shares) + 1) if shares else every
    drawn = drawn_parts(labels[readable], parts[readable], groups[readable], listing.class_names, shares, seed)
    rows = [readable[members] for members in shuffled_members(drawn, seed)]
    training, validation, test = rows
    _tell_doubts(console, images, labels, paths, rows)

    put_in_order(images.pixels, np.concatenate([*rows, np.setdiff1d(every, readable)]))
    pixels = np.split(images.pixels, np.cumsum([len(part) for part in rows]))
    labels = labels.astype(np.uint8 if len(listing.class_names) <= 256 else np.uint16)
    return Split(
        name=_name(place),
        source=str(place),
        sha256=_digest(images, labels, listing.class_names, rows),
        class_names=listing.class_names,
        training_pictures=pixels[0],
        training_labels=labels[training],
        validation_pictures=pixels[1],
        validation_labels=labels[validation],
        test_pictures=pixels[2],
        test_labels=labels[test],
        test_files=tuple(paths[row] for row in test),
        preparation=wanted.preparation,
    )


def _name(place: Path) -> str:
    r"""As text, which the card is: bytes that are no UTF-8 are written `\xff`."""
    path = place.resolve()
    return os.fsencode(path.stem if place.is_file() else path.name).decode("utf-8", "backslashreplace")


def _tell_listing(console: Console, place: Path, listing: Listing, shares: dict[Part, float]) -> None:
    for remark in listing.remarks:
        tell(console, remark)
    for part, share in shares.items():
        if len(shares) == 1:  # where both are missing, nobody thinks that they were given
            tell(console, f"{place} has no {part} part: {share:.0%} of the training images of each class are that")


def _groups(images: Images, labels: Integers, drawn_from: Integers, needed: int) -> Integers:
    """A number for each row, the same for images of one class that are to come into one part, of so many at least."""
    groups = np.arange(len(labels))
    contents = np.unique(images.digests, axis=0, return_inverse=True)[1]
    for label in np.unique(labels[drawn_from]):
        rows = drawn_from[labels[drawn_from] == label]
        alike = groups_of(images.signatures[rows], contents[rows])
        # A class may consist of images that are nearly the same: then only the same files are kept together.
        groups[rows] = rows[alike] if len(np.unique(alike)) >= needed else contents[rows]
    return groups


def _tell_doubts(
    console: Console, images: Images, labels: Integers, paths: Sequence[Path], rows: Sequence[Integers]
) -> None:
    training, validation, test = rows
    for part, held_out, seen_in, seen in (
        ("validation", validation, "training", training),
        ("the test", test, "training or validation", np.concatenate([training, validation])),
    ):
        copies = _copies(images, paths, held_out, seen)
        tell_copies(console, part, len(held_out), seen_in, copies)
    places: dict[bytes, list[int]] = defaultdict(list)
    for row in np.concatenate(rows).tolist():
        places[images.digests[row].tobytes()].append(row)
    tell_contradictions(
        console,
        [tuple(paths[row] for row in same) for same in places.values() if len({labels[row] for row in same}) > 1],
    )


def _copies(images: Images, paths: Sequence[Path], held_out: Integers, seen: Integers) -> list[Copy]:
    """The images in the rows `held_out` of which there is another, or nearly, in the rows `seen`."""
    files = {images.digests[row].tobytes(): row for row in seen.tolist()}
    nearest, correlations = most_alike(images.signatures[held_out], images.signatures[seen])
    copies = []
    for row, near, correlation in zip(held_out.tolist(), seen[nearest].tolist(), correlations, strict=True):
        same = files.get(images.digests[row].tobytes())
        if same is not None or correlation >= ALIKE:
            copies.append(Copy(paths[row], paths[near if same is None else same], same is not None))
    return copies


def _digest(images: Images, labels: npt.NDArray[np.integer], names: tuple[str, ...], rows: Sequence[Integers]) -> str:
    """SHA-256 of what the files hold, with the class and the part of each, wherever they lie."""
    digest = hashlib.sha256()
    for part, members in zip(PARTS, rows, strict=True):
        for row in members.tolist():
            digest.update(images.digests[row].tobytes() + f"{part}/{names[labels[row]]}".encode())
    return digest.hexdigest()
