"""Encoded bytes → an upright 8-bit image, grey or RGB. Knows no model and no HTTP."""

import io
from typing import ClassVar

import numpy as np
from PIL import Image, ImageOps, features

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


class ImageError(ValueError):
    """An image that cannot be used. The text says what arrived and what is expected.

    ImageError
      ├─ EmptyImage      there are no bytes
      ├─ UnknownFormat   the first bytes are of no format that is read
      ├─ BrokenImage     the format is known, the content cannot be decoded
      └─ TooManyPixels   width × height is over the limit
    """

    code: ClassVar[str] = "broken_image"
    position = 0
    """Which of several images it is, 0 for the first; set by whoever decodes several."""


class EmptyImage(ImageError):
    """There are no bytes."""

    code = "empty_image"


class UnknownFormat(ImageError):
    """The first bytes are of no format that is read."""

    code = "unknown_format"


class BrokenImage(ImageError):
    """The format is known, but the content cannot be decoded."""

    code = "broken_image"


class TooManyPixels(ImageError):
    """Width times height is over the limit."""

    code = "too_many_pixels"


def format_of(content: bytes) -> str:
    """The name of the format of an encoded image, from its first bytes alone. Raises UnknownFormat."""
    for name, signatures in _SIGNATURES.items():
        place, brands = _BRANDS.get(name, (0, (b"",)))
        if content.startswith(signatures) and content.startswith(brands, place):
            return name
    raise UnknownFormat(f"the content is not an image in a format that is read here: {', '.join(FORMATS)}")


def open_image(content: bytes, max_pixels: int) -> Image.Image:
    """Read the header of an encoded image; the pixels stay encoded until `upright`.

    Raises EmptyImage, UnknownFormat, BrokenImage, or TooManyPixels where width × height is over `max_pixels`.
    """
    if not content:
        raise EmptyImage("the image is empty: 0 bytes arrived")
    name = format_of(content)
    try:
        image = Image.open(io.BytesIO(content), formats=[name])
    except Image.DecompressionBombError:
        raise TooManyPixels(f"the image has more than the {max_pixels:,} pixels that are read") from None
    except Exception as error:  # decoders raise many kinds on damaged input; each means the same to the sender
        raise BrokenImage(f"the {name} image cannot be read: its header is damaged or cut short") from error
    if image.width * image.height > max_pixels:
        raise TooManyPixels(
            f"the image has {image.width:,} × {image.height:,} pixels, and at most {max_pixels:,} are read; "
            "send a smaller one"
        )
    return image


def upright(image: Image.Image, enough: int) -> Image.Image:
    """The first frame of an opened image, turned as its EXIF orientation says, 8-bit grey or RGB, flattened onto white.

    Its longer edge may come out shorter, but at least `enough` pixels where it had as many. Raises BrokenImage.
    """
    try:
        # Has an effect on JPEG alone: decoded at a half, a quarter or an eighth, in as much less time and memory.
        image.draft(None, (enough, enough))
        ImageOps.exif_transpose(image, in_place=True)
        flat = _flattened(image)
    except Exception as error:
        raise BrokenImage(f"the {image.format} image cannot be decoded: it is damaged or cut short") from error
    return flat.reduce(max(flat.size) // enough) if max(flat.size) >= 2 * enough else flat


def converted(image: Image.Image, mode: str) -> Image.Image:
    """`image` in Pillow's `mode`; itself where it has that already."""
    return image if image.mode == mode else image.convert(mode)


def _flattened(image: Image.Image) -> Image.Image:
    """The first frame as 8-bit grey or RGB, transparent parts shown on white."""
    if image.mode.startswith(("I", "F")):
        # 16-bit grey: Pillow's own conversion to 8 bits clips every value over 255 to white.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", with_alpha.size, _WHITE), with_alpha).convert("RGB")
    return converted(image, "L" if image.mode in ("1", "L", "LA") else "RGB")
