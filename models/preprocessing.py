"""Image → model input, the same for training and serving. Knows no file format but one, and no HTTP."""

import base64
import io
import struct
import zlib
from functools import cache
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from models import product_photo
from models.card import Fit, ImageInput, Interpolation
from models.decoding import upright
from models.flattening import converted
from models.image_formats import PNG_SIGNATURE
from models.product_photo import WHOLE, Frame

Pixels = npt.NDArray[np.uint8]
ModelInput = npt.NDArray[np.float32]

# `auto` is what the model's card asks for; `none` only makes the image fit.
PreparationChoice = Literal["auto", "none"]

# As many pixels along the longer edge as `product-photo` looks at, or a drawing shows.
_ENOUGH = 640
# An image of less than twice as many is resized from all its pixels, as a notebook does it; a larger one is halved.
_ENOUGH_TO_RESIZE = 2048
_OPENCV: dict[Interpolation, int] = {
    "bilinear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest-opencv": cv2.INTER_NEAREST,
    "bicubic-opencv": cv2.INTER_CUBIC,
}
_PILLOW: dict[Interpolation, Image.Resampling] = {
    "antialias": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# Of a PNG that has one IDAT chunk and nothing that is not needed: all its bytes but the compressed pixels.
_PLAIN_PNG_FRAME = 8 + 25 + 12 + 12
_PNG_GREY, _PNG_RGB = 0, 2
# As many as 300 × 300 pixels of noise in colour have; larger ones are not decoded in passing.
_MOST_PLAIN_PNG_BYTES, _FEW_BYTES = 270_000, 2_000


class PreparedImage(NamedTuple):
    """An image as the model sees it, and as a person does.

    `pixels` are the model's, uint8 (height, width, channels), grey or RGB. `upright` is the image that was sent, turned
    upright and flattened, in grey or RGB, made smaller where it is large; `frame` is the part of it that `pixels` show.
    """

    pixels: Pixels
    upright: Image.Image
    frame: Frame


def plain_pixels(content: bytes, wanted: ImageInput) -> Pixels | None:
    """The pixels of an encoded image that already is what the model takes, or None where `prepare` has to judge.

    Only a PNG of the model's own size and colours that consists of nothing but one block of pixels is read here: by
    OpenCV, in a quarter of the time that Pillow needs. It refuses whatever Pillow refuses, and some that Pillow takes.
    Returns uint8 (height, width, channels), 0 to 255: what `prepare` would have returned.
    """
    if not _is_plain_png(content, wanted):
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


def prepared_pixels(image: Image.Image, wanted: ImageInput, preparation: PreparationChoice = "auto") -> Pixels:
    """What `prepare` says the model sees: uint8 (height, width, channels), 0 to 255. Raises BrokenImage."""
    return prepare(image, wanted, preparation).pixels


def prepare(image: Image.Image, wanted: ImageInput, preparation: PreparationChoice = "auto") -> PreparedImage:
    """Decode and fit an image: upright, flattened onto white, in the model's size, grey or RGB.

    What `product-photo` does beyond that is said in `models.product_photo`; an image that already is a thumbnail of
    the model's size is left as it is, so that a data set's own pixels go through untouched. Otherwise the card's fit
    and interpolation say how. Raises BrokenImage.
    """
    size = (wanted.width, wanted.height)
    product = wanted.preparation == "product-photo" and preparation == "auto"
    image = upright(image, max(_ENOUGH if product else _ENOUGH_TO_RESIZE, *size))
    if product and not _is_thumbnail(image, size):
        grey, frame = product_photo.thumbnail(np.asarray(converted(image, "RGB")), wanted.height, wanted.width)
        return PreparedImage(np.repeat(grey[..., np.newaxis], wanted.channels, axis=2), image, frame)
    fitted = np.asarray(converted(image, "L" if wanted.channels == 1 else "RGB"))
    frame = WHOLE
    if image.size != size:
        fitted, frame = fit(fitted, size, wanted.fit, wanted.interpolation)
    pixels = fitted.reshape(wanted.height, wanted.width, wanted.channels)
    return PreparedImage(pixels, image.reduce(max(1, max(image.size) // _ENOUGH)), frame)


def fit(image: Pixels, size: tuple[int, int], how: Fit, interpolation: Interpolation) -> tuple[Pixels, Frame]:
    """uint8 (height, width[, channels]) in another `size` (width, height), and which part of the image that shows.

    OpenCV's crop and pad as Keras's `image_dataset_from_directory` does (`crop_to_aspect_ratio`,
    `pad_to_aspect_ratio`), Pillow's as its `ImageOps.fit` and `ImageOps.pad` do.
    """
    if how == "stretch":
        return resized(image, size, interpolation), WHOLE
    if interpolation in _PILLOW:
        picture, method = Image.fromarray(image), _PILLOW[interpolation]
        fitted = ImageOps.fit(picture, size, method) if how == "crop" else ImageOps.pad(picture, size, method)
        return np.asarray(fitted, np.uint8), _frame(picture.size, size, how)
    height, width = image.shape[:2]
    wide, tall = int(height * size[0] / size[1]), int(width * size[1] / size[0])
    if how == "crop":
        wide, tall = max(1, min(width, wide)), max(1, min(height, tall))
        left, top = (width - wide) // 2, (height - tall) // 2
        image = image[top : top + tall, left : left + wide]
    else:
        # As Keras does it: as many rows above as below, though one may be missing then.
        left, top = -(max(wide - width, 0) // 2), -(max(tall - height, 0) // 2)
        image = np.pad(image, ((-top, -top), (-left, -left), (0, 0))[: image.ndim])
    tall, wide = image.shape[:2]
    return resized(image, size, interpolation), Frame(left / width, top / height, wide / width, tall / height)


def resized(image: Pixels, size: tuple[int, int], interpolation: Interpolation) -> Pixels:
    """uint8 (height, width[, channels]) in another `size` (width, height), rounded to whole values."""
    if interpolation in _OPENCV:
        return np.asarray(cv2.resize(image, size, interpolation=_OPENCV[interpolation]), np.uint8)
    return np.asarray(Image.fromarray(image).resize(size, _PILLOW[interpolation]), np.uint8)


def png_data_url(pixels: Pixels) -> str:
    """uint8 (height, width, 1 or 3) as a PNG in a `data:` URL (RFC 2397)."""
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def scaled(pixels: Pixels | ModelInput, wanted: ImageInput) -> ModelInput:
    """What the model takes: float32 of the same shape, scaled and in the channels' order as the card says.

    `pixels` are uint8, or as float32 between those, (…, channels), grey or RGB; of one image or of many.
    """
    ordered = pixels[..., ::-1] if wanted.channel_order == "bgr" and wanted.channels == 3 else pixels
    values = ordered.astype(np.float32) * np.asarray(wanted.scale, np.float32)
    return values if wanted.offset == 0 else values + np.asarray(wanted.offset, np.float32)


def _frame(image: tuple[int, int], wanted: tuple[int, int], how: Fit) -> Frame:
    """The part of an image of one size that is shown where it is brought to another."""
    scales = [to / of for to, of in zip(wanted, image, strict=True)]
    scale = min(scales) if how == "pad" else max(scales)
    wide, tall = (to / (scale * of) for to, of in zip(wanted, image, strict=True))
    return Frame((1 - wide) / 2, (1 - tall) / 2, wide, tall)


def _is_plain_png(content: bytes, wanted: ImageInput) -> bool:
    """Whether that is a PNG of the model's size and colours with one block of pixels, which is no larger than they."""
    header = _plain_png_header(wanted.width, wanted.height, wanted.channels)
    if not content.startswith(header) or content[37:41] != b"IDAT" or len(content) > _MOST_PLAIN_PNG_BYTES:
        return False
    if len(content) != _PLAIN_PNG_FRAME + int.from_bytes(content[33:37], "big"):
        return False
    # OpenCV inflates also what follows the last row: of few bytes, that is 2 MB at most.
    return len(content) <= _FEW_BYTES or _inflates_to(
        content[41:-16], wanted.height * (1 + wanted.width * wanted.channels)
    )


def _inflates_to(packed: bytes, size: int) -> bool:
    """Whether that is `size` bytes, compressed by zlib, and no more of them."""
    try:
        return len(zlib.decompressobj().decompress(packed, size + 1)) == size
    except zlib.error:
        return False


@cache
def _plain_png_header(width: int, height: int, channels: int) -> bytes:
    """The first 29 bytes of such a PNG: signature, then size, 8 bits, grey or RGB, and no interlacing."""
    colour = _PNG_GREY if channels == 1 else _PNG_RGB
    return PNG_SIGNATURE + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, colour, 0, 0, 0)


def _is_thumbnail(image: Image.Image, size: tuple[int, int]) -> bool:
    if image.size != size:
        return False
    pixels = np.asarray(image.convert("RGB"))
    grey = pixels[..., 0]
    return bool((pixels == grey[..., np.newaxis]).all()) and product_photo.is_thumbnail(grey)
