"""Fashion-MNIST, from wherever it lies, as a Split of arrays. Knows no network.

The data set is described in Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
learning algorithms", 2017 (arXiv:1708.07747); its files have the IDX format of MNIST.
"""

import gzip
import hashlib
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from models.card import FASHION_MNIST_CLASS_NAMES, Preparation
from training.errors import DataError

SYSTEM_DIR = Path("/usr/share/datasets/fashion-mnist")

# SHA-256 of the decompressed bytes: mirrors compress the same content differently.
DIGESTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    """Images for fitting, for choosing the best epoch, and for the final judgement.

    Images are uint8 (count, height, width, channels), 0 to 255; labels are whole numbers (count,), indices of
    `class_names`. `preparation` is how the service is to prepare images like them. `test_files` are those of the test
    images, in the same order, or empty where there is no file for each.
    """

    name: str
    source: str
    sha256: str
    class_names: tuple[str, ...]
    training_pictures: Images
    training_labels: Labels
    validation_pictures: Images
    validation_labels: Labels
    test_pictures: Images
    test_labels: Labels
    preparation: Preparation = "resize"
    test_files: tuple[Path, ...] = ()


def load_fashion_mnist(data_dir: Path | None, validation_share: float, seed: int) -> Split:
    """Fashion-MNIST with `validation_share` of its 60,000 training images held out. Raises DataError."""
    folder = data_dir or _find_folder()
    contents = [_read_file(folder, name) for name in DIGESTS]
    training_pictures, training_labels, test_pictures, test_labels = (_from_idx(content) for content in contents)
    chosen, held_out = split_indices(len(training_labels), validation_share, seed)
    return Split(
        name="Fashion-MNIST",
        source=str(folder),
        sha256=hashlib.sha256(b"".join(contents)).hexdigest(),
        class_names=FASHION_MNIST_CLASS_NAMES,
        training_pictures=training_pictures[chosen],
        training_labels=training_labels[chosen],
        validation_pictures=training_pictures[held_out],
        validation_labels=training_labels[held_out],
        test_pictures=test_pictures,
        test_labels=test_labels,
        preparation="product-photo",
    )


def load_mnist(validation_share: float, seed: int) -> Split:
    """MNIST's handwritten digits from Keras's cache, else downloaded. Raises DataError."""
    try:
        (images, labels), (test_pictures, test_labels) = keras.datasets.mnist.load_data()
    except Exception as error:  # whatever the download raises, the advice is the same
        raise DataError(f"MNIST is not in Keras's cache and could not be downloaded ({error})") from error
    chosen, held_out = split_indices(len(labels), validation_share, seed)
    return Split(
        name="MNIST",
        source="Keras",
        sha256=hashlib.sha256(
            b"".join(part.tobytes() for part in (images, labels, test_pictures, test_labels))
        ).hexdigest(),
        class_names=tuple("0123456789"),
        training_pictures=images[chosen, ..., np.newaxis],
        training_labels=labels[chosen],
        validation_pictures=images[held_out, ..., np.newaxis],
        validation_labels=labels[held_out],
        test_pictures=test_pictures[..., np.newaxis],
        test_labels=test_labels,
    )


def split_indices(count: int, held_out_share: float, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The indices to keep and those to hold out: scikit-learn's `train_test_split(test_size=…, random_state=seed)`.

    Raises DataError where one side would be empty.
    """
    held_out = math.ceil(count * held_out_share)
    if not 0 < held_out < count:
        raise DataError(f"holding out {held_out_share} of {count} images leaves one side empty; choose another share")
    # RandomState, because that generator's stream is what scikit-learn draws from and what NumPy promises to keep.
    permutation = np.random.RandomState(seed).permutation(count)
    return permutation[held_out:], permutation[:held_out]


def _find_folder() -> Path:
    if SYSTEM_DIR.is_dir():
        return SYSTEM_DIR
    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets" / "fashion-mnist"
    if not all((cache / f"{name}.gz").is_file() for name in DIGESTS):
        try:
            keras.datasets.fashion_mnist.load_data()
        except Exception as error:  # whatever the download raises, the advice is the same
            raise DataError(
                f"Fashion-MNIST is not in {SYSTEM_DIR} nor in {cache}, and could not be downloaded ({error}); "
                "install Debian's package dataset-fashion-mnist, or name the folder of its four files with --data-dir"
            ) from error
    return cache


def _read_file(folder: Path, name: str) -> bytes:
    """The decompressed content of one data file, checked against its digest."""
    compressed, plain = folder / f"{name}.gz", folder / name
    path = compressed if compressed.is_file() else plain
    try:
        content = path.read_bytes()
        if path == compressed:
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise DataError(
            f"there is no {name}.gz (nor {name}) in {folder}; the folder must hold Fashion-MNIST's four files"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); copy the file again") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != DIGESTS[name]:
        raise DataError(
            f"{path} is not Fashion-MNIST's file: SHA-256 of its decompressed content is {digest[:12]}…, "
            f"expected {DIGESTS[name][:12]}…; copy the file again"
        )
    return content


def _from_idx(content: bytes) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes: (count,) of labels, or (count, height, width, 1) of images."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4).astype(int)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    return values if dimensions == 1 else values[..., np.newaxis]
