"""Encoded bytes → an upright 8-bit image, grey or RGB. Knows no model and no HTTP."""

import io

import numpy as np
from PIL import Image, features

from models.image_errors import BrokenImage, EmptyImage, ImageError, TooComplex, TooManyPixels, UnknownFormat
from models.image_scan import Scan, scan
from models.orientation import orientation_of

MEMORY_SPENT = "the image takes more memory to be decoded than there is for it; send a smaller one"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# The first bytes of each format that is read. Pillow's own list is longer; what is left out never reaches a parser.
_SIGNATURES = {
    "PNG": (PNG_SIGNATURE,),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "WEBP": (b"RIFF",),
    "AVIF": (b"",),
}
# What stands further on in files of these formats.
_BRANDS = {"WEBP": (8, (b"WEBP",)), "AVIF": (4, (b"ftypavif", b"ftypavis"))}
if not features.check("avif"):
    del _SIGNATURES["AVIF"]  # this build of Pillow cannot decode it
FORMATS = tuple(_SIGNATURES)
_WHITE = (255, 255, 255, 255)
_BAND_ROWS = 64
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def format_of(content: bytes) -> str:
    """The name of the format of an encoded image, from its first bytes alone. Raises UnknownFormat."""
    for name, signatures in _SIGNATURES.items():
        place, brands = _BRANDS.get(name, (0, (b"",)))
        if content.startswith(signatures) and content.startswith(brands, place):
            return name
    raise UnknownFormat(f"the content is not an image in a format that is read here: {', '.join(FORMATS)}")


def scanned(content: bytes) -> Scan:
    """What an encoded image consists of, found without a decoder.

    Raises EmptyImage, UnknownFormat, BrokenImage, or TooComplex where it has more parts than images have.
    """
    if not content:
        raise EmptyImage("the image is empty: 0 bytes arrived")
    return scan(content, format_of(content))


def open_image(content: bytes, max_pixels: int) -> Image.Image:
    """Read the header of an encoded image; the pixels stay encoded until `upright`.

    Raises EmptyImage, UnknownFormat, BrokenImage, TooManyPixels where width × height is over `max_pixels`, or
    TooComplex.
    """
    return open_scanned(scanned(content), max_pixels)


def open_scanned(found: Scan, max_pixels: int) -> Image.Image:
    """As `open_image`, of what `scanned` found."""
    if found.size:
        _check_pixels(*found.size, max_pixels)  # some decoders make room for all pixels as soon as they are opened
    try:
        image = Image.open(io.BytesIO(found.content), formats=[found.form])
    except Image.DecompressionBombError:
        raise TooManyPixels(f"the image has more than the {max_pixels:,} pixels that are read") from None
    except Exception as error:  # decoders raise many kinds on damaged input; each means the same to the sender
        raise _refused(error, f"the {found.form} image cannot be read: its header is damaged or cut short") from error
    _check_pixels(*image.size, max_pixels)
    if found.exif:
        image.info["exif"] = found.exif
    if found.xmp:
        image.info["xmp"] = found.xmp
    return image


def upright(image: Image.Image, enough: int) -> Image.Image:
    """The first frame of an opened image, turned as its EXIF orientation says, 8-bit grey or RGB, flattened onto white.

    Its longer edge may come out shorter, but at least `enough` pixels where it had as many. Raises BrokenImage, or
    TooComplex where there is no memory for it.
    """
    try:
        # Has an effect on JPEG alone: decoded at a half, a quarter or an eighth, in as much less time and memory.
        image.draft(None, (enough, enough))
        image.load()
        turn = _TURNS.get(orientation_of(image.info))
        flat = _flattened(image if turn is None else image.transpose(turn))
    except Exception as error:
        raise _refused(error, f"the {image.format} image cannot be decoded: it is damaged or cut short") from error
    return flat.reduce(max(flat.size) // enough) if max(flat.size) >= 2 * enough else flat


def converted(image: Image.Image, mode: str) -> Image.Image:
    """`image` in Pillow's `mode`; itself where it has that already."""
    return image if image.mode == mode else image.convert(mode)


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise TooManyPixels(
            f"the image has {width:,} × {height:,} pixels, and at most {max_pixels:,} are read; send a smaller one"
        )


def _refused(error: Exception, text: str) -> ImageError:
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return TooComplex(MEMORY_SPENT)
    return BrokenImage(text)


def _flattened(image: Image.Image) -> Image.Image:
    """The first frame as 8-bit grey or RGB, transparent parts shown on white."""
    if image.mode in {"L", "RGB"} and not image.has_transparency_data:
        return image
    # In bands: each step on the way takes as much memory as its part of the image.
    bands = ((top, min(top + _BAND_ROWS, image.height)) for top in range(0, image.height, _BAND_ROWS))
    flat = None
    for top, bottom in bands:
        band = _flattened_band(image.crop((0, top, image.width, bottom)))
        flat = flat or Image.new(band.mode, image.size)
        flat.paste(band, (0, top))
    return flat or converted(image, "RGB")


def _flattened_band(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # 16-bit grey: Pillow's own conversion to 8 bits clips every value over 255 to white.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", with_alpha.size, _WHITE), with_alpha).convert("RGB")
    return converted(image, "L" if image.mode in ("1", "L", "LA") else "RGB")
