"""A folder of images with one subfolder for each class, as a Split of arrays. Knows no network."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.card import ImageInput
from models.decoding import open_image
from models.image_errors import ImageError
from models.image_formats import FORMATS
from models.preprocessing import prepared_pixels
from training.data import Split
from training.errors import DataError

_MAX_PIXELS = 100_000_000
_TEST_SHARE = 0.1


class LeftOut(NamedTuple):
    """A file that is no image which can be read, and why."""

    path: Path
    reason: str


def load_folder(folder: Path, wanted: ImageInput, validation_share: float, seed: int) -> tuple[Split, list[LeftOut]]:
    """Every image below `folder` as the network is to see it, and the files that cannot be read.

    The names of the subfolders are the classes, in alphabetical order, as in Keras's `image_dataset_from_directory`.
    A tenth of the images, drawn at random, is for the test, `validation_share` of them for validation. The images
    are prepared as the service prepares them, and kept on disk in a temporary file. Raises DataError.
    """
    names = tuple(sorted(entry.name for entry in _entries(folder) if entry.is_dir() and not entry.name.startswith(".")))
    if len(names) < 2:
        raise DataError(
            f"{folder} has {len(names)} subfolders, expected one for each class and at least two; "
            "put the images of each class into a subfolder of its name"
        )
    files = [(path, label) for label, name in enumerate(names) for path in _files(folder / name)]
    images = _on_disk(len(files), wanted)
    labels: list[int] = []
    left_out: list[LeftOut] = []
    digest = hashlib.sha256()
    for number in np.random.default_rng(seed).permutation(len(files)):
        path, label = files[number]
        try:
            content = path.read_bytes()
            images[len(labels)] = prepared_pixels(open_image(content, _MAX_PIXELS), wanted)
        except (ImageError, OSError) as error:
            left_out.append(LeftOut(path, str(error)))
        else:
            digest.update(hashlib.sha256(content).digest())
            labels.append(label)
    for label, name in enumerate(names):
        if label not in labels:
            raise DataError(
                f"{folder / name} holds no image that can be read ({', '.join(FORMATS)}); add some, or remove it"
            )
    return _split(folder, names, digest.hexdigest(), images, np.array(labels), validation_share), left_out


def _split(
    folder: Path, names: tuple[str, ...], digest: str, images: np.memmap, labels: np.ndarray, validation_share: float
) -> Split:
    count = len(labels)
    tests, validations = max(1, round(_TEST_SHARE * count)), max(1, round(validation_share * count))
    if set(labels[tests + validations :]) != set(range(len(names))):
        raise DataError(
            f"{folder} has {count} images of {len(names)} classes: too few to hold out {tests} for the test and "
            f"{validations} for validation; add images, or choose a lower --validation-share"
        )
    labels = labels.astype(np.uint8 if len(names) <= 256 else np.uint16)
    return Split(
        name=folder.resolve().name,
        source=str(folder),
        sha256=digest,
        class_names=names,
        test_pictures=images[:tests],
        test_labels=labels[:tests],
        validation_pictures=images[tests : tests + validations],
        validation_labels=labels[tests : tests + validations],
        training_pictures=images[tests + validations : count],
        training_labels=labels[tests + validations :],
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read as a folder ({error.strerror}); name another with --data") from error


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))


def _on_disk(count: int, wanted: ImageInput) -> np.memmap:
    """Room for so many images in a file that vanishes with the process."""
    shape = (max(1, count), wanted.height, wanted.width, wanted.channels)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)  # which keeps its own hold on the file
