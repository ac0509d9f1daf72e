"""The pictures in a folder, chosen evenly over its subfolders and brought into the model's size. Knows no model."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import Fit, ImageInput, Interpolation
from models.decoding import open_image
from models.image_errors import ImageError
from models.picture_folders import PART_WORDS, is_system_file
from models.preprocessing import Pixels, prepared_pixels
from models.regular_files import read_regular
from service.check.errors import CheckError

_MOST_PIXELS = 100_000_000
_MOST_BYTES = 400_000_000  # so many pixels need no more in any format

Resizing = tuple[Fit, Interpolation]


class Chosen(NamedTuple):
    """The files in the order in which they are read, and the names of the subfolders, which are none or the classes.

    Each file comes with the place of its subfolder, 0 where there is none.
    """

    files: tuple[tuple[Path, int], ...]
    folders: tuple[str, ...]


class Pictures(NamedTuple):
    """Decoded pictures: `pixels` are uint8 (pictures, height, width, channels) for each way to resize them.

    `labels`, (pictures,), is the place of each one's subfolder; `skipped` are files that could not be read.
    """

    pixels: dict[Resizing, Pixels]
    labels: npt.NDArray[np.intp]
    folders: tuple[str, ...]
    skipped: tuple[Path, ...]


def chosen(folder: Path) -> Chosen:
    """Every file below `folder`, drawn at random but the same each time, one of each class after the other.

    Raises CheckError for a folder that cannot be read, is empty, or has one subfolder alone.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise CheckError(f"{folder} cannot be read as a folder ({error.strerror}); name another with --pictures") from (
            error
        )
    subfolders = [entry for entry in entries if entry.is_dir() and not is_system_file(entry.name)]
    parts = [entry.name for entry in subfolders if entry.name.lower() in PART_WORDS]
    if len(parts) > 1:
        raise CheckError(
            f"{folder} has the parts of a data set, {', '.join(parts)}, and not a subfolder for each class; name one "
            f"of them: --pictures {folder / parts[0]}"
        )
    if len(subfolders) == 1:
        raise CheckError(
            f"{folder} has one subfolder, {subfolders[0].name}; expected one for each class, or pictures alone"
        )
    if not subfolders:
        files = [(path, 0) for path in _shuffled(folder, "*")]
    else:
        classes = [[(path, label) for path in _shuffled(one, "**/*")] for label, one in enumerate(subfolders)]
        files = [file for round_ in zip_longest(*classes) for file in round_ if file is not None]
    if not files:
        raise CheckError(f"{folder} holds no file; put pictures into it, best in a subfolder for each class")
    return Chosen(tuple(files), tuple(one.name for one in subfolders))


def resizing_of(taken: ImageInput) -> Resizing:
    """How pictures come to the size of the model."""
    return taken.fit, taken.interpolation


def decoded(found: Chosen, most: int, inputs: Sequence[ImageInput], progress: Callable[[], None]) -> Pictures:
    """The first `most` that can be read, resized as each of the `inputs` asks.

    `progress` is called after each. Raises CheckError where none can be read.
    """
    pixels: dict[Resizing, list[Pixels]] = {resizing_of(one): [] for one in inputs}
    labels: list[int] = []
    skipped: list[Path] = []
    for path, label in found.files:
        if len(labels) == most:
            break
        try:
            image = open_image(read_regular(path, _MOST_BYTES), _MOST_PIXELS)
            fitted = {resizing_of(one): prepared_pixels(image, one) for one in inputs}  # decoded once
        except (ImageError, OSError):
            skipped.append(path)
            continue
        for resizing, one in fitted.items():
            pixels[resizing].append(one)
        labels.append(label)
        progress()
    if not labels:
        raise CheckError(f"none of {len(skipped):,} files can be read as a picture, {skipped[0]} first; name others")
    stacked = {resizing: np.stack(ones) for resizing, ones in pixels.items()}
    return Pictures(stacked, np.array(labels), found.folders, tuple(skipped))


def _shuffled(folder: Path, pattern: str) -> list[Path]:
    """Neighbours in a folder are often alike, so that the first few would say little of all."""
    files = [
        path
        for path in sorted(folder.glob(pattern))
        if path.is_file() and not any(map(is_system_file, path.relative_to(folder).parts))
    ]
    return [files[place] for place in np.random.default_rng(0).permutation(len(files))]
