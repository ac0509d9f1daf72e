"""Reads the files of a listing as the network is to see them, several at a time. Knows no classes and no parts."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console

from models.card import ImageInput
from models.decoding import open_image
from models.image_errors import ImageError
from models.preprocessing import prepare
from models.regular_files import read_regular
from training.errors import DataError
from training.near_duplicates import SIGNATURE_LENGTH, signature
from training.progress import progress_bar

_MOST_PIXELS = 100_000_000
_MOST_BYTES = 400_000_000  # so many pixels need no more in any format
_BLOCK = 256


class Images(NamedTuple):
    """What came of the files, a row for each of them in all of the arrays.

    `pixels` are uint8 (files, height, width, channels), on disk; `digests` the SHA-256 of the files, uint8 (files, 32);
    `signatures` are those of `training.near_duplicates`. `faults` says for some rows why there is nothing in them.
    """

    pixels: np.memmap
    digests: npt.NDArray[np.uint8]
    signatures: npt.NDArray[np.float32]
    faults: dict[int, str]


def read_images(paths: Sequence[Path], wanted: ImageInput, console: Console) -> Images:
    """Decode and prepare each file as the service prepares what it is sent; `console` shows how far that is.

    The pixels are kept in a temporary file, so that there may be more of them than fit into memory. Raises DataError
    where there is no room for it.
    """
    count = len(paths)
    images = Images(
        _on_disk((count, wanted.height, wanted.width, wanted.channels)),
        np.zeros((count, 32), np.uint8),
        np.zeros((count, SIGNATURE_LENGTH), np.float32),
        {},
    )

    def read(row: int) -> None:
        try:
            content = read_regular(paths[row], _MOST_BYTES)
            prepared = prepare(open_image(content, _MOST_PIXELS), wanted)
        except (ImageError, OSError) as error:
            images.faults[row] = getattr(error, "strerror", None) or str(error)
            return
        images.pixels[row] = prepared.pixels
        images.digests[row] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
        images.signatures[row] = signature(prepared.upright)

    with ThreadPoolExecutor(os.cpu_count()) as pool, progress_bar(console) as progress:  # decoders release the GIL
        task = progress.add_task("Reading images", total=count)
        for start in range(0, count, _BLOCK):  # so that an interrupt waits for no more than these
            for _ in pool.map(read, range(start, min(start + _BLOCK, count))):
                progress.advance(task)
    return images


def put_in_order(pixels: np.memmap, order: npt.NDArray[np.intp]) -> None:
    """Let row `order[n]` be row n, for each n: in place, because there may be no room for all rows twice."""
    done = order == np.arange(len(order))
    for start in range(len(order)):
        if done[start]:
            continue
        first, row = pixels[start].copy(), start
        while order[row] != start:
            pixels[row] = pixels[order[row]]
            done[row], row = True, int(order[row])
        pixels[row], done[row] = first, True


def _on_disk(shape: tuple[int, ...]) -> np.memmap:
    """Room for so many pixels in a file that vanishes with the process."""
    size = max(1, int(np.prod(shape, dtype=np.int64)))
    with tempfile.TemporaryFile() as file:
        try:
            # All of it now: a map of a file for which there is no room ends the process where it is written to.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise DataError(
                f"{size:,} bytes of pixels have no room in {tempfile.gettempdir()} ({error.strerror}); name a folder "
                "on another disk in the environment as TMPDIR, or choose a smaller --image-size"
            ) from error
        return np.memmap(file, np.uint8, "w+", shape=shape)  # which keeps its own hold on the file
