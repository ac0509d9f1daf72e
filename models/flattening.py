"""A decoded image → 8-bit grey or RGB, on white. Knows Pillow's modes, and no encoded image."""

import numpy as np
from PIL import Image, ImageFile

_WHITE = (255, 255, 255, 255)
_BAND_ROWS = 64
# How many bits sensors have. Grey of 16 bits often holds their numbers as they are, and all of it would be black.
_DEPTHS = (8, 10, 12, 14, 16)
# A colour that is less than that in all of an image has at most 12 of 16 bits.
_FEWEST_SHADES = 16


def converted(image: Image.Image, mode: str) -> Image.Image:
    """`image` in Pillow's `mode`; itself where it has that already."""
    return image if image.mode == mode else image.convert(mode)


def has_deep_colours(image: Image.Image) -> bool:
    """Whether an image that is not decoded yet has 16 bits a colour, of which Pillow reads the upper 8."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else ()
    return image.mode in {"RGB", "RGBA"} and any(";16" in str(tile.args) for tile in tiles)


def uses_few_shades(image: Image.Image) -> bool:
    """Whether a decoded image that had 16 bits a colour uses at most 12 of them, so that it would be black."""
    return not any(any(image.getchannel(colour).histogram()[_FEWEST_SHADES:]) for colour in "RGB")


def flattened(image: Image.Image, *, full_range: bool) -> Image.Image:
    """A decoded image as 8-bit grey or RGB, transparent parts shown on white.

    Grey of 16 bits uses all of them if it is of `full_range`; otherwise the smallest of 8, 10, 12, 14 and 16 that its
    largest value needs.
    """
    if image.mode in {"L", "RGB"} and not image.has_transparency_data:
        return image
    # In bands: each step on the way takes as much memory as its part of the image.
    tops = range(0, image.height, _BAND_ROWS)
    bands = [(0, top, image.width, min(top + _BAND_ROWS, image.height)) for top in tops]
    deep = image.mode.startswith("I")
    depth = _DEPTHS[-1]
    if deep and not full_range:
        depth = _depth(max(int(np.asarray(image.crop(band)).max()) for band in bands))
    flat = None
    for band in bands:
        part = image.crop(band)
        # Pillow's own conversion of 16-bit grey clips every value over 255 to white.
        part = Image.fromarray((np.asarray(part) >> (depth - 8)).astype(np.uint8)) if deep else _flattened_band(part)
        flat = flat or Image.new(part.mode, image.size)
        flat.paste(part, band[:2])
    return flat or converted(image, "RGB")


def _depth(largest: int) -> int:
    return next((depth for depth in _DEPTHS if largest < 1 << depth), _DEPTHS[-1])


def _flattened_band(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", with_alpha.size, _WHITE), with_alpha).convert("RGB")
    return converted(image, "L" if image.mode in ("1", "L", "LA") else "RGB")
