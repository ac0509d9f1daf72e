"""How a photograph of a product becomes a thumbnail like those of Fashion-MNIST. Knows no file format and no model.

The data set's own images were made from photographs on white, as section 2 of Xiao, Rasul and Vollgraf,
"Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017 (arXiv:1708.07747) says: trim
what is close to the corner's colour, scale the longest edge to 28, sharpen, centre, negate, 8-bit grey. Here a plain
background is found from the whole border instead, so that it may be tinted, uneven or noisy; in front of any other,
such as a floor or a bed, the product is found by `models.segmentation`.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from models.segmentation import Mask, largest_parts, product_mask

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Frame(NamedTuple):
    """Which part of an image the model's input shows, in shares of the image's width and height.

    It may reach beyond the image: there the input is black.
    """

    left: float
    top: float
    width: float
    height: float


WHOLE = Frame(0, 0, 1, 1)

# Of a larger image nothing that a thumbnail shows is lost at this size.
_WORKING_EDGE = 320
_BORDER_SHARE = 0.04
# The paper takes for background what is within 5% of the corner's colour; less is enough where the border is smooth.
_LEAST_CONTRAST = 5.0
_NOISE_DEVIATIONS = 4.0
# What differs from the background by less than this share of what the product does is a shadow.
_SHADOW_SHARE = 0.08
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_COLOUR_STEP = 24
_USUAL_BACKGROUND = 3
# The first quartile of the absolute values of a standard normal distribution.
_QUARTER_OF_NORMAL = 0.3186
# A speck: a part of the product is larger, compared with its largest part.
_SPECK_SHARE = 0.02
_LIGHT, _DARK, _BLACK = 128.0, 64.0, 32
# A background that is lighter than this is taken for white in dim light, and the product is lit up with it.
_WHITE = 200.0
_SHARPENING = 0.35
# Plain backgrounds deviate by less from their plane: walls, tables and paper by 1 to 8, floors and beds by 9 and more.
_PLAIN = 9.0
_STEPS_TO_JUDGE = 3


def is_thumbnail(grey: Pixels) -> bool:
    """Whether uint8 (height, width) looks like the data set's own images: more of its border is black than white.

    So it is with each of the 70,000, and with none of their negatives.
    """
    # Asked of every small image that comes in: a median of the border would take half as long as decoding it.
    border = grey.ravel()[_border_places(*grey.shape)]
    return bool(np.count_nonzero(border < _BLACK) > np.count_nonzero(border > 255 - _BLACK))


@cache
def _border_places(height: int, width: int) -> npt.NDArray[np.intp]:
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    return np.flatnonzero(~inside)


def thumbnail(photo: Pixels, height: int, width: int) -> tuple[Pixels, Frame]:
    """uint8 (any height, any width, 3) as RGB → uint8 (`height`, `width`): the product, light on black, centred.

    And which part of the photograph that is.
    """
    small = _reduced(photo)
    background, noise = _background(small)
    plain = noise < _PLAIN
    product = _in_front(small, background, noise) if plain else product_mask(np.rint(small).astype(np.uint8))
    if not product.any():
        return np.zeros((height, width), np.uint8), WHOLE
    light = _as_light(small, background, product) if plain else np.asarray((255 - small @ _GREY) * product, np.float32)
    if photo.shape[:2] == (height, width):
        # Somebody's negative of a thumbnail: to fit it anew would only blur it.
        return np.rint(light).astype(np.uint8), WHOLE
    rows, columns = np.flatnonzero(product.any(axis=1)), np.flatnonzero(product.any(axis=0))
    trimmed = light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    pixels, (left, top, wide, tall) = fitted(trimmed, height, width)
    frame = Frame(
        (columns[0] + left) / light.shape[1],
        (rows[0] + top) / light.shape[0],
        wide / light.shape[1],
        tall / light.shape[0],
    )
    return pixels, frame


def _reduced(photo: Pixels) -> Floats:
    scale = _WORKING_EDGE / max(photo.shape[:2])
    if scale < 1:
        size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
        return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.float32)
    return photo.astype(np.float32)


def _background(image: Floats) -> tuple[Floats, float]:
    """The background behind everything, as a plane through the border's colours, and the border's noise around it.

    Fitted by iteratively reweighted least squares with Cauchy's weights (Holland and Welsch, "Robust regression using
    iteratively reweighted least-squares", 1977), which a product that touches the border hardly moves, as long as a
    quarter of the border is free of it.
    """
    height, width = image.shape[:2]
    depth = max(1, round(_BORDER_SHARE * min(height, width)))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    inside = np.zeros((height, width), bool)
    inside[depth : height - depth, depth : width - depth] = True
    terms = np.stack([np.ones_like(x), x / width - 0.5, y / height - 0.5], axis=-1)
    at_border, colours = terms[~inside], image[~inside]
    plane = np.zeros((3, 3), np.float32)
    plane[0] = _commonest_colour(colours)
    spread = 1.0
    for step in range(12):
        residuals = np.abs(colours - at_border @ plane).max(axis=1)
        spread = max(1.0, float(np.percentile(residuals, 25)) / _QUARTER_OF_NORMAL)
        if step >= _STEPS_TO_JUDGE and spread > 2 * _PLAIN:
            break  # not plain at all
        weights = 1 / (1 + (residuals / (2 * spread)) ** 2)
        weighted = at_border * weights[:, None]
        plane = np.linalg.solve(weighted.T @ at_border + 1e-3 * np.eye(3), weighted.T @ colours).astype(np.float32)
    return (terms @ plane).astype(np.float32), spread


def _commonest_colour(colours: Floats) -> Floats:
    """The mean of the commonest kind of colour; white and black, the usual backgrounds, count more."""
    steps = (colours // _COLOUR_STEP).astype(int)
    kinds, which, counts = np.unique(steps, axis=0, return_inverse=True, return_counts=True)
    usual = (kinds == kinds.max(axis=1, keepdims=True)).all(axis=1) & np.isin(kinds[:, 0], (0, 255 // _COLOUR_STEP))
    commonest = int(np.argmax(counts * np.where(usual, _USUAL_BACKGROUND, 1)))
    return np.asarray(colours[which.ravel() == commonest].mean(axis=0), np.float32)


def _in_front(image: Floats, background: Floats, noise: float) -> Mask:
    """What differs from a plain background by more than its noise and shadows do."""
    distance = np.abs(cv2.GaussianBlur(image, (0, 0), 0.8) - background).max(axis=2)
    contrast = _SHADOW_SHARE * float(np.percentile(distance, 95))
    return largest_parts(distance > max(_LEAST_CONTRAST, _NOISE_DEVIATIONS * noise, contrast), _SPECK_SHARE)


def _as_light(image: Floats, background: Floats, product: Mask) -> Floats:
    """The product's brightness on black, negated unless the background is dark; 0 to 255, 0 where it is not."""
    grey, behind = image @ _GREY, background @ _GREY
    level = float(np.median(behind))
    if level > _WHITE:
        light = 255 - grey * (255 / np.maximum(behind, 1))
    elif level >= _LIGHT or (level >= _DARK and np.median((grey - behind)[product]) < 0):
        light = 255 - grey
    else:
        light = grey
    return np.asarray(np.clip(light, 0, 255) * product, np.float32)


def fitted(light: Floats, height: int, width: int) -> tuple[Pixels, Frame]:
    """A product's brightness, float32 (any height, any width), scaled and centred: uint8 (`height`, `width`).

    And where that lies on `light`: left, top, width, height in its pixels.
    """
    across, down = light.shape[1], light.shape[0]
    scale = min(height / light.shape[0], width / light.shape[1])
    size = (min(width, max(1, round(light.shape[1] * scale))), min(height, max(1, round(light.shape[0] * scale))))
    if size != light.shape[::-1]:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        light = np.asarray(cv2.resize(light, size, interpolation=way), np.float32)
        light = light + _SHARPENING * (light - cv2.GaussianBlur(light, (0, 0), 1.0))
    canvas = np.zeros((height, width), np.float32)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = light
    per_column, per_row = across / size[0], down / size[1]
    frame = Frame(-left * per_column, -top * per_row, width * per_column, height * per_row)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), frame
