"""Finds images that are nearly the same: encoded again, resized, or in other light. Knows no files and no classes."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

Signatures = npt.NDArray[np.float32]
Integers = npt.NDArray[np.intp]

# Of lightness and the two colours, which JPEG keeps at half the size, too.
_EDGES = (16, 8, 8)
SIGNATURE_LENGTH = sum(2 * edge * (edge - 1) for edge in _EDGES)
# Of 499,500 pairs of different photographs of clothing the most alike have 0.87; copies that were encoded again or
# resized with averaging have 0.99 and more. Small thumbnails are more alike: of Fashion-MNIST's 10,000 test images 74
# resemble another this much, and a person would say so, too.
ALIKE = 0.97
_MOST_PRODUCTS = 1 << 24


def signature(image: Image.Image) -> Signatures:
    """How lightness and colours change from each part of the image to the next: float32 (SIGNATURE_LENGTH,).

    `image` is 8-bit grey or RGB. The product of two signatures is their correlation, 1 for the same image. An image of
    one shade is like nothing: all zeros.
    """
    steps = []
    channels = image.resize((_EDGES[0], _EDGES[0]), Image.Resampling.BOX).convert("YCbCr").split()
    for channel, edge in zip(channels, _EDGES, strict=True):
        small = np.asarray(channel.resize((edge, edge), Image.Resampling.BOX), np.float32)
        steps += [np.diff(small, axis=0).ravel(), np.diff(small, axis=1).ravel()]
    every = np.concatenate(steps)
    return np.asarray(every / max(float(np.linalg.norm(every)), 1e-6), np.float32)


def most_alike(signatures: Signatures, others: Signatures) -> tuple[Integers, Signatures]:
    """Which of the others is most like each image, and the correlation with that: both (count,)."""
    nearest, correlations = np.zeros(len(signatures), np.intp), np.zeros(len(signatures), np.float32)
    for rows in _blocks(len(signatures), len(others)):
        products = signatures[rows] @ others.T
        nearest[rows], correlations[rows] = products.argmax(axis=1), products.max(axis=1)
    return nearest, correlations


def groups_of(signatures: Signatures, contents: Integers) -> Integers:
    """A number for each image, (count,): each is of the group of the first one that it is like, or has the content of.

    `contents`, (count,), is the same number for files of the same content.
    """
    _, first, inverse = np.unique(contents, return_index=True, return_inverse=True)
    groups: Integers = first[inverse]
    for rows in _blocks(len(signatures), len(signatures)):
        alike = signatures[rows] @ signatures[: rows.stop].T >= ALIKE
        groups[rows] = np.where(alike.any(axis=1), np.minimum(groups[rows], alike.argmax(axis=1)), groups[rows])
    for index, group in enumerate(groups):  # which is itself of a group that began before
        groups[index] = groups[group]
    return groups


def _blocks(count: int, others: int) -> Iterator[slice]:
    """Rows of a matrix of that many by others, so many at a time that their products take little memory."""
    step = max(1, _MOST_PRODUCTS // max(1, others))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
