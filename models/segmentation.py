"""Tells a product from whatever lies behind it in a photograph. Knows no file format and no model.

By GrabCut (Rother, Kolmogorov and Blake, "GrabCut: interactive foreground extraction using iterated graph cuts", 2004):
colours of product and background are two mixtures of Gaussians, and the boundary between them runs where colours
change. What a person would have drawn is assumed: the border shows background, and the middle the product.
"""

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# The graph cut takes longer than in proportion to the pixels: about 45 ms at this size.
_WORKING_EDGE = 160
_ITERATIONS = 3
_BORDER_SHARE = 0.03
# Of the way from the middle to the border.
_CERTAIN_SHARE = 0.12
# A part of the product that lies by itself, such as the other shoe, is larger, compared with its largest part.
_PART_SHARE = 0.1
_FEWEST_PIXELS = 8


def product_mask(photo: Pixels) -> Mask:
    """uint8 (height, width, 3) as RGB → where the product is, bool (height, width), holes in it filled.

    All of an image that is too small to have a border and a middle. The same image gives the same mask.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, _WORKING_EDGE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if min(size) < _FEWEST_PIXELS:
        return np.ones((height, width), bool)
    small = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    marks = _first_guess(size[1], size[0])
    cv2.setRNGSeed(0)  # the mixtures begin with k-means, which draws at random
    mixtures = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, marks, (0, 0, 0, 0), *mixtures, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    found = without_holes(largest_parts((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD), _PART_SHARE))
    soft = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    mask: Mask = soft > 0.5
    return mask


def largest_parts(mask: Mask, share: float) -> Mask:
    """`mask` without the connected parts that are smaller than `share` of the largest."""
    _, parts, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = figures[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    kept: Mask = (areas >= max(1, share * areas.max()))[parts]
    return kept & mask


def _first_guess(height: int, width: int) -> Pixels:
    deep, wide = max(1, round(_BORDER_SHARE * height)), max(1, round(_BORDER_SHARE * width))
    marks = np.full((height, width), cv2.GC_BGD, np.uint8)
    marks[deep : height - deep, wide : width - wide] = cv2.GC_PR_FGD
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    marks[np.hypot((2 * y + 1) / height - 1, (2 * x + 1) / width - 1) < _CERTAIN_SHARE] = cv2.GC_FGD
    return marks


def without_holes(mask: Mask) -> Mask:
    """`mask` and whatever it encloses."""
    outside = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(outside, None, (0, 0), 2)
    filled: Mask = outside[1:-1, 1:-1] != 2
    return filled
