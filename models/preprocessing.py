"""How any image becomes the model's input, the same for training and serving. Knows no HTTP."""

import base64
import io
import struct
from functools import cache
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, features

from models import product_photo
from models.card import ImageInput
from models.product_photo import WHOLE, Frame

Pixels = npt.NDArray[np.uint8]
ModelInput = npt.NDArray[np.float32]

# `auto` is what the model's card asks for; `none` only makes the image fit.
PreparationChoice = Literal["auto", "none"]

# The first bytes of each format that is read. Pillow's own list is longer; what is left out never reaches a parser.
_SIGNATURES = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
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
# As many pixels along the longer edge as any preparation looks at.
_ENOUGH = 640
_WHITE = (255, 255, 255, 255)
# Of a PNG that has one IDAT chunk and nothing that is not needed: all its bytes but the compressed pixels.
_PLAIN_PNG_FRAME = 8 + 25 + 12 + 12
_PNG_GREY, _PNG_RGB = 0, 2


class Seen(NamedTuple):
    """An image as the model sees it, and as a person does.

    `pixels` are the model's, uint8 (height, width, channels). `upright` is the image that was sent, turned upright
    and flattened, in grey or RGB, made smaller where it is large; `frame` is the part of it that `pixels` show.
    """

    pixels: Pixels
    upright: Image.Image
    frame: Frame


class ImageError(ValueError):
    """An image that cannot be used. The text says what arrived and what is expected.

    ImageError
      ├─ UnknownFormat   the first bytes are of no format that is read
      ├─ BrokenImage   the format is known, the content cannot be decoded
      └─ TooManyPixels   width × height is over the limit
    """


class UnknownFormat(ImageError):
    """The first bytes are of no format that is read."""


class BrokenImage(ImageError):
    """The format is known, but the content cannot be decoded."""


class TooManyPixels(ImageError):
    """Width times height is over the limit."""


def format_of(content: bytes) -> str:
    """The name of the format of an encoded image, from its first bytes alone. Raises UnknownFormat."""
    for name, signatures in _SIGNATURES.items():
        place, brands = _BRANDS.get(name, (0, (b"",)))
        if content.startswith(signatures) and content.startswith(brands, place):
            return name
    raise UnknownFormat(f"the content is not an image in a format that is read here: {', '.join(FORMATS)}")


def plain_pixels(content: bytes, wanted: ImageInput) -> Pixels | None:
    """The pixels of an encoded image that already is what the model takes, or None where `prepare` has to judge.

    Only a PNG of the model's own size and colours that consists of nothing but one block of pixels is read here: by
    OpenCV, in a quarter of the time that Pillow needs. It refuses whatever Pillow refuses, and some that Pillow takes.
    Returns uint8 (height, width, channels), 0 to 255: what `prepare` would have returned.
    """
    header = _plain_png_header(wanted.width, wanted.height, wanted.channels)
    if not content.startswith(header) or content[37:41] != b"IDAT":
        return None
    if len(content) != _PLAIN_PNG_FRAME + int.from_bytes(content[33:37], "big"):
        return None
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.shape[:2] != (wanted.height, wanted.width) or pixels.dtype != np.uint8:
        return None
    if wanted.preparation == "product-photo" and not (pixels.ndim == 2 and product_photo.is_thumbnail(pixels)):
        return None
    if wanted.channels == 3:
        pixels = pixels[..., ::-1]  # OpenCV gives blue first
    return np.asarray(pixels.reshape(wanted.height, wanted.width, wanted.channels), np.uint8)


def open_image(content: bytes, max_pixels: int) -> Image.Image:
    """Read the header of an encoded image; the pixels stay encoded until `prepare`.

    Raises UnknownFormat, BrokenImage, or TooManyPixels where width × height is over `max_pixels`.
    """
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


def prepare(image: Image.Image, wanted: ImageInput, preparation: PreparationChoice = "auto") -> Pixels:
    """What `look` says the model sees: uint8 (height, width, channels), 0 to 255. Raises BrokenImage."""
    return look(image, wanted, preparation).pixels


def look(image: Image.Image, wanted: ImageInput, preparation: PreparationChoice = "auto") -> Seen:
    """Decode and fit an image: upright, flattened onto white, in the model's colours and size.

    What `product-photo` does beyond that is said in `models.product_photo`; an image that already is a thumbnail of
    the model's size is left as it is, so that a data set's own pixels go through untouched. Otherwise proportions
    are kept and the rest is black. Raises BrokenImage.
    """
    size = (wanted.width, wanted.height)
    edge = max(_ENOUGH, *size)
    try:
        # Has an effect on JPEG alone: decoded at a half, a quarter or an eighth, in as much less time and memory.
        image.draft(None, (edge, edge))
        ImageOps.exif_transpose(image, in_place=True)
        image = _flattened(image)
    except Exception as error:
        raise BrokenImage(f"the {image.format} image cannot be decoded: it is damaged or cut short") from error
    if max(image.size) >= 2 * edge:
        image = image.reduce(max(image.size) // edge)
    if wanted.preparation == "product-photo" and preparation == "auto" and not _is_thumbnail(image, size):
        grey, frame = product_photo.thumbnail(np.asarray(_converted(image, "RGB")), wanted.height, wanted.width)
        return Seen(np.repeat(grey[..., np.newaxis], wanted.channels, axis=2), image, frame)
    fitted = _converted(image, "L" if wanted.channels == 1 else "RGB")
    if fitted.size != size:
        fitted = ImageOps.pad(fitted, size, method=Image.Resampling.LANCZOS)
    pixels = np.asarray(fitted, dtype=np.uint8).reshape(wanted.height, wanted.width, wanted.channels)
    return Seen(pixels, image, _padded_frame(image.size, size))


def png_data_url(pixels: Pixels) -> str:
    """uint8 (height, width, 1 or 3) as a PNG in a `data:` URL (RFC 2397)."""
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def scaled(pixels: Pixels, wanted: ImageInput) -> ModelInput:
    """What the model takes: float32 of the same shape, each pixel times the card's scale. For one image or many."""
    return pixels.astype(np.float32) * np.float32(wanted.scale)


def _padded_frame(image: tuple[int, int], wanted: tuple[int, int]) -> Frame:
    """The part of an image of one size that is shown where it is scaled and padded to another."""
    if image == wanted:
        return WHOLE
    scale = min(wanted[0] / image[0], wanted[1] / image[1])
    wide, tall = (to / (scale * of) for to, of in zip(wanted, image, strict=True))
    return Frame((1 - wide) / 2, (1 - tall) / 2, wide, tall)


@cache
def _plain_png_header(width: int, height: int, channels: int) -> bytes:
    """The first 29 bytes of such a PNG: signature, then size, 8 bits, grey or RGB, and no interlacing."""
    colour = _PNG_GREY if channels == 1 else _PNG_RGB
    return _SIGNATURES["PNG"][0] + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, colour, 0, 0, 0)


def _is_thumbnail(image: Image.Image, size: tuple[int, int]) -> bool:
    if image.size != size:
        return False
    pixels = np.asarray(image.convert("RGB"))
    grey = pixels[..., 0]
    return bool((pixels == grey[..., np.newaxis]).all()) and product_photo.is_thumbnail(grey)


def _flattened(image: Image.Image) -> Image.Image:
    """The first frame as 8-bit grey or RGB, transparent parts shown on white."""
    if image.mode.startswith(("I", "F")):
        # 16-bit grey: Pillow's own conversion to 8 bits clips every value over 255 to white.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", with_alpha.size, _WHITE), with_alpha).convert("RGB")
    return _converted(image, "L" if image.mode in ("1", "L", "LA") else "RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)
