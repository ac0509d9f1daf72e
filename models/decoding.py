"""Encoded bytes → an upright 8-bit image, grey or RGB. Knows no model and no HTTP."""

import io
import math
from functools import cache

import numpy as np
from PIL import Image

from models.flattening import flattened, has_deep_colours, uses_few_shades
from models.image_errors import BrokenImage, EmptyImage, ImageError, TooComplex, TooManyPixels
from models.image_formats import format_of
from models.image_parts import Scan
from models.image_scan import scan
from models.orientation import UPRIGHT, orientation_of

# Bounds of our own, and found before any decoder is asked.
Image.MAX_IMAGE_PIXELS = None

MEMORY_SPENT = "the image takes more memory to be decoded than there is for it; send a smaller one"
# A JPEG is decoded at a half, a quarter or an eighth of its edges where all of its pixels would be too many; a HEIC
# takes less than half the memory that other formats may.
TIMES_MAX_PIXELS = {"JPEG": 8, "HEIF": 2}
# All that a progressive one says is kept until its last scan, at three to six bytes a pixel.
MOST_COEFFICIENT_BYTES = 16
# What decoders are to know of an image, in its `info`.
_SCALE, _CUT_SHORT = "scale", "cut short"
# The decoders of these turn an image themselves.
_TURNED = frozenset(("HEIF", "TIFF"))
# libjpeg shows rows that are missing in middle grey, whichever way round.
_MISSING_FROM, _MISSING_TO = 127, 128
_MOST_MISSING = 20
# So much of a row tells whether it is there to its end.
_ROW_END = 8
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def scanned(content: bytes) -> Scan:
    """What an encoded image consists of, found without a decoder.

    Raises EmptyImage, UnknownFormat, BrokenImage, or TooComplex where it has more parts than images have.
    """
    if not content:
        raise EmptyImage("the image is empty: 0 bytes arrived")
    return scan(content, format_of(content))


def open_image(content: bytes, max_pixels: int) -> Image.Image:
    """Read the header of an encoded image; the pixels stay encoded until `upright`.

    Of a JPEG with more than `max_pixels` no more than these are decoded, at a scale of 1/2, 1/4 or 1/8. Raises
    EmptyImage, UnknownFormat, BrokenImage, TooComplex, or TooManyPixels where width × height is over `max_pixels`, or
    over as many times that as `TIMES_MAX_PIXELS` says.
    """
    return open_scanned(scanned(content), max_pixels)


def open_scanned(found: Scan, max_pixels: int) -> Image.Image:
    """As `open_image`, of what `scanned` found."""
    if found.form == "HEIF":
        _register_heif()
    if found.size:
        # Some decoders make room for all pixels as soon as they are opened.
        _check_pixels(found.form, found.size, max_pixels)
    if found.coefficient_bytes > MOST_COEFFICIENT_BYTES * max_pixels:
        raise TooComplex(
            "the JPEG image is progressive, and too large to be decoded as one; send a smaller one, or one that is not "
            "progressive"
        )
    try:
        image = Image.open(io.BytesIO(found.content), formats=[found.form])
    except Exception as error:  # decoders raise many kinds on damaged input; each means the same to the sender
        raise _refused(error, f"the {found.form} image cannot be read: its header is damaged or cut short") from error
    _check_pixels(found.form, image.size, max_pixels)
    if found.exif:
        image.info["exif"] = found.exif
    if found.xmp:
        image.info["xmp"] = found.xmp
    image.info[_SCALE] = next((scale for scale in (1, 2, 4) if math.prod(image.size) <= max_pixels * scale**2), 8)
    image.info[_CUT_SHORT] = found.cut_short
    return image


def upright(image: Image.Image, enough: int) -> Image.Image:
    """The first frame of an opened image, turned as its EXIF orientation says, 8-bit grey or RGB, flattened onto white.

    Its longer edge may come out shorter, but at least `enough` pixels where it had as many, unless it had more pixels
    than are decoded. Raises BrokenImage, or TooComplex where there is no memory for it.
    """
    scale, form = image.info.get(_SCALE, 1), image.format or ""
    try:
        # Has an effect on JPEG alone: decoded at a half, a quarter or an eighth, in as much less time and memory.
        image.draft(None, (min(enough, image.width // scale or 1), min(enough, image.height // scale or 1)))
        deep_colours = has_deep_colours(image)
        image.load()
        if image.info.get(_CUT_SHORT):
            image = _without_missing_rows(image)
        if deep_colours:
            _check_shades(image, form)
        turn = _TURNS.get(_orientation(image, form))
        flat = flattened(image if turn is None else image.transpose(turn), full_range=form == "HEIF")
    except ImageError:
        raise
    except Exception as error:
        raise _refused(error, f"the {form} image cannot be decoded: it is damaged or cut short") from error
    return flat.reduce(max(flat.size) // enough) if max(flat.size) >= 2 * enough else flat


def _check_pixels(form: str, size: tuple[int, int], max_pixels: int) -> None:
    most = max_pixels * TIMES_MAX_PIXELS.get(form, 1)
    if math.prod(size) > most:
        jpegs = max_pixels * TIMES_MAX_PIXELS["JPEG"]
        raise TooManyPixels(
            f"the image has {size[0]:,} × {size[1]:,} pixels, and at most {most:,} of a {form} are read; send a "
            "smaller one" + (f", or a JPEG of up to {jpegs:,}" if math.prod(size) <= jpegs else "")
        )


@cache
def _register_heif() -> None:
    # With the first HEIC: it brings an encoder of 23 MB.
    import pillow_heif  # noqa: PLC0415

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def _orientation(image: Image.Image, form: str) -> int:
    return UPRIGHT if form in _TURNED else orientation_of(image.info)


def _without_missing_rows(image: Image.Image) -> Image.Image:
    """Those rows of a JPEG that were sent whole. Raises BrokenImage where more than a twentieth is missing."""
    most = image.height // _MOST_MISSING
    ends = np.asarray(image.crop((max(0, image.width - _ROW_END), image.height - most - 1, *image.size)))
    last = ends.reshape(most + 1, -1)
    there = np.flatnonzero(((last < _MISSING_FROM) | (last > _MISSING_TO)).any(axis=1))
    if not there.size:
        raise BrokenImage(
            f"the JPEG image cannot be decoded: it is cut short, and more than 1/{_MOST_MISSING} of its rows is "
            "missing; send all of its bytes"
        )
    return image.crop((0, 0, image.width, image.height - most + int(there[-1])))


def _check_shades(image: Image.Image, form: str) -> None:
    if uses_few_shades(image):
        raise BrokenImage(
            f"the {form} image has colours of 16 bits and uses at most 12 of them, so that it would be shown as black; "
            "scale it to 8 bits"
        )


def _refused(error: Exception, text: str) -> ImageError:
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return TooComplex(MEMORY_SPENT)
    return BrokenImage(text)
