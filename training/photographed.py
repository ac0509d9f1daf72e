"""Changes Fashion-MNIST's thumbnails into what preparation makes of people's photographs. Knows no network.

In the data set each product was photographed alone, in even light, with its sleeves hanging down. On a floor or a bed
sleeves are spread, shoes stand in pairs and point anywhere, cloth is bent and creased, and what is found of the product
has ragged edges (`models.segmentation`).
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from models.card import FASHION_MNIST_CLASS_NAMES
from models.product_photo import fitted
from models.segmentation import Mask, largest_parts
from training.augmentation import augmented
from training.robustness import silhouette

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Random = np.random.Generator

_WITH_SLEEVES = frozenset(
    FASHION_MNIST_CLASS_NAMES.index(name) for name in ("T-shirt/top", "Pullover", "Dress", "Coat", "Shirt")
)
_SHOES = frozenset(FASHION_MNIST_CLASS_NAMES.index(name) for name in ("Sandal", "Sneaker", "Ankle boot"))

_SHARE = 0.4
_CANVAS = 56
_MIDDLE = (_CANVAS - 1) / 2
_Y, _X = np.mgrid[0:_CANVAS, 0:_CANVAS].astype(np.float32)
_FEWEST_PIXELS = 60
_DIMMEST, _BRIGHTEST = 30.0, 235.0
_SPECK_SHARE = 0.1


class _Layer(NamedTuple):
    """A part of a thumbnail: its brightness, how much of each pixel it covers, and a 3×3 matrix that moves it."""

    light: Floats
    cover: Floats
    moved: Floats


def clothing(image: Images, label: int, random: Random) -> Floats:
    """A thumbnail, uint8 (28, 28, 1), and its class → float32 0 to 255: changed a little, or as if photographed."""
    if random.random() < _SHARE:
        found = photographed(image[..., 0], label, random)
        if found is not None:
            return found[..., np.newaxis].astype(np.float32)
    return augmented(image, random)


def photographed(thumbnail: Images, label: int, random: Random) -> Images | None:
    """A thumbnail, uint8 (height, width), and its class in Fashion-MNIST → another of the same size.

    None where next to nothing is left of the product.
    """
    light, cover = thumbnail.astype(np.float32), silhouette(thumbnail)
    layers, scale, turn = [_Layer(light, cover, np.eye(3, dtype=np.float32))], 1.45, random.normal(0, 8)
    if label in _SHOES:
        turn = random.uniform(-180, 180) if random.random() < 0.7 else turn
        if random.random() < 0.4:
            layers, scale = _pair(light, cover, random), 1.0
    elif label in _WITH_SLEEVES and random.random() < 0.5:
        layers, scale = _with_sleeves_spread(light, cover, random), 0.95
    light, cover = _bent(_drawn(layers, _turned(thumbnail.shape, turn, scale, random)), random)
    product = _found(cover, random)
    if np.count_nonzero(product) < _FEWEST_PIXELS:
        return None
    light = np.where(product, _in_other_light(light, product & (cover > 0.5), random), 0)
    rows, columns = np.flatnonzero(product.any(axis=1)), np.flatnonzero(product.any(axis=0))
    trimmed = np.ascontiguousarray(light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)
    return fitted(trimmed, *thumbnail.shape)[0]


def _extent(cover: Floats) -> tuple[int, int, int, int]:
    """Top, left, height and width of a silhouette."""
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    return rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def _pair(light: Floats, cover: Floats, random: Random) -> list[_Layer]:
    """A shoe and its mirror image side by side, sole to sole or one before the other."""
    _, _, tall, wide = _extent(cover)
    gap, slip = min(tall, wide) * random.uniform(0.65, 1.15), random.normal(0, 2)
    right, down = (slip, gap) if wide >= tall else (gap, slip)
    mirror = (-1 if wide >= tall else 1, 1 if wide >= tall else -1) if random.random() < 0.6 else (1, 1)
    other = light[:: mirror[0], :: mirror[1]], cover[:: mirror[0], :: mirror[1]]
    return [_Layer(light, cover, _shift(-right / 2, -down / 2)), _Layer(*other, _shift(right / 2, down / 2))]


def _with_sleeves_spread(light: Floats, cover: Floats, random: Random) -> list[_Layer]:
    """What hangs beside the body, turned outwards around the shoulders."""
    top, left, tall, wide = _extent(cover)
    middle, body = left + (wide - 1) / 2, wide * random.uniform(0.22, 0.33)
    shoulder, angle = top + tall * random.uniform(0.05, 0.2), random.uniform(5, 60)
    from_middle = np.arange(cover.shape[1], dtype=np.float32) - middle
    layers = []
    for side in (-1, 1):
        sleeve = from_middle * side > 0.8 * body
        turned = np.eye(3, dtype=np.float32)
        turned[:2] = cv2.getRotationMatrix2D((middle + side * body, shoulder), side * (angle + random.normal(0, 6)), 1)
        layers.append(_Layer(light * sleeve, cover * sleeve, turned))
    trunk = np.abs(from_middle) <= 1.1 * body
    return [*layers, _Layer(light * trunk, cover * trunk, np.eye(3, dtype=np.float32))]


def _shift(right: float, down: float) -> Floats:
    return np.array([[1, 0, right], [0, 1, down], [0, 0, 1]], np.float32)


def _turned(size: tuple[int, ...], angle: float, scale: float, random: Random) -> Floats:
    """The matrix from a thumbnail of `size` to the middle of the canvas: turned, stretched, perhaps mirrored."""
    turn = np.deg2rad(angle)
    across, down = scale * random.uniform(0.85, 1.2, 2)
    mirrored = -1 if random.random() < 0.5 else 1
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array(
        [[mirrored * across, random.normal(0, 0.06)], [0, down]]
    )
    matrix = np.eye(3, dtype=np.float32)
    matrix[:2, :2] = linear
    matrix[:2, 2] = _MIDDLE - linear @ [(size[1] - 1) / 2, (size[0] - 1) / 2]
    return matrix


def _drawn(layers: list[_Layer], placed: Floats) -> tuple[Floats, Floats]:
    """The layers on the canvas, later ones in front: brightness and cover."""
    size = (_CANVAS, _CANVAS)
    light, cover = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for layer in layers:
        matrix = (placed @ layer.moved)[:2]
        own = cv2.warpAffine(np.ascontiguousarray(layer.cover), matrix, size)
        light = np.where(own > 0.5, cv2.warpAffine(np.ascontiguousarray(layer.light), matrix, size), light)
        cover = np.maximum(cover, own)
    return light, cover


def _field(random: Random, cells: int, amplitude: float) -> Floats:
    """Smooth noise on the canvas: so many independent values across, normally distributed."""
    values = random.standard_normal((cells, cells), np.float32) * np.float32(amplitude)
    return np.asarray(cv2.resize(values, (_CANVAS, _CANVAS), interpolation=cv2.INTER_CUBIC), np.float32)


def _bent(drawn: tuple[Floats, Floats], random: Random) -> tuple[Floats, Floats]:
    amplitude = random.uniform(0, 2.2)
    x, y = _X + _field(random, 5, amplitude), _Y + _field(random, 5, amplitude)
    light, cover = (np.asarray(cv2.remap(part, x, y, cv2.INTER_LINEAR), np.float32) for part in drawn)
    return light, cover


def _found(cover: Floats, random: Random) -> Mask:
    """The product as segmentation finds it: ragged at its edges more often than not, small parts lost."""
    if random.random() < 0.7:
        soft = np.asarray(cv2.GaussianBlur(cover, (0, 0), random.uniform(0.5, 2)), np.float32)
        cover = soft + _field(random, int(random.integers(6, 16)), random.uniform(0, 0.22))
    return largest_parts(cover > 0.5, _SPECK_SHARE)


def _in_other_light(light: Floats, product: Mask, random: Random) -> Floats:
    """Another brightness and contrast, creases, and perhaps a pattern; background that was taken for product, too."""
    if random.random() < 0.75:
        middle = float(light[product].mean()) if product.any() else 128.0
        light = (light - middle) * np.float32(random.uniform(0.4, 1.3)) + np.float32(
            random.uniform(_DIMMEST, _BRIGHTEST)
        )
    creases = _field(random, int(random.integers(3, 7)), random.uniform(0, 28))
    fine = cv2.GaussianBlur(random.standard_normal((_CANVAS, _CANVAS), np.float32), (0, 0), 1.0)
    creases = creases + fine * np.float32(random.uniform(0, 30))
    light = light + creases
    if random.random() < 0.6:
        light = light + _PATTERNS[int(random.integers(len(_PATTERNS)))](random)
    behind = random.uniform(_DIMMEST, _BRIGHTEST) + creases
    return np.clip(np.where(product, light, behind), 8, 255).astype(np.float32)


def _stripes(random: Random) -> Floats:
    """Stripes in any direction, level or upright most of the time, soft or sharp, crossed by others or not."""
    angle = (0.0, np.pi / 2, random.uniform(0, np.pi))[int(random.integers(3))]
    frequency, phase = 2 * np.pi / random.uniform(3, 16), random.uniform(0, 2 * np.pi)
    wave = np.sin(frequency * (_X * np.cos(angle) + _Y * np.sin(angle)) + phase)
    if random.random() < 0.4:
        wave = (wave + np.sin(frequency * (_Y * np.cos(angle) - _X * np.sin(angle)) + phase)) / np.sqrt(2)
    if random.random() < 0.5:
        wave = np.sign(wave - random.uniform(-0.5, 0.5))
    return np.asarray(wave * random.uniform(10, 60), np.float32)


def _spots(random: Random) -> Floats:
    spots = _field(random, int(random.integers(6, 20)), 1) > random.uniform(0.3, 1.2)
    return np.asarray(spots * random.uniform(-110, 110), np.float32)


def _print(random: Random) -> Floats:
    """Something printed on the chest."""
    wide, tall = random.uniform(0.1, 0.3, 2) * _CANVAS
    across, down = _MIDDLE + random.normal(0, 3), _MIDDLE + random.normal(0, 5)
    inside = (np.abs(_X - across) < wide) & (np.abs(_Y - down) < tall)
    return np.asarray(inside * (random.uniform(-120, 120) + _field(random, 14, 25)), np.float32)


_PATTERNS: tuple[Callable[[Random], Floats], ...] = (_stripes, _spots, _print)
