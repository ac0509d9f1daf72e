"""Makes images that look like people's own from a data set's thumbnails, one kind of difficulty at a time."""

import io
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from models.segmentation import without_holes

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Random = np.random.Generator

_SMALLEST, _LARGEST = 300, 1200
_WHITE = (255.0, 255.0, 255.0)
_ORIENTATION = 0x0112


class _Scene(NamedTuple):
    """A product enlarged: its colours (height, width, 3), and how much of each pixel it covers (height, width)."""

    colours: Floats
    cover: Floats


def _scene(thumbnail: Pixels, random: Random, tint: tuple[float, float, float] = (1, 1, 1)) -> _Scene:
    """The product as it may have looked before the data set was made: dark where the thumbnail is light."""
    edge = int(random.integers(_SMALLEST, _LARGEST) * random.uniform(0.6, 0.9))
    light = cv2.resize(thumbnail.astype(np.float32), (edge, edge), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    cover = cv2.resize(silhouette(thumbnail), (edge, edge), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colours = 255 - light[..., None] * np.array(tint, np.float32)
    return _Scene(colours, np.clip((cover - 0.3) / 0.4, 0, 1))


def silhouette(thumbnail: Pixels) -> Floats:
    """1 where the product is, holes inside it filled."""
    return np.asarray(without_holes(thumbnail > 2), np.float32)


def _placed(scene: _Scene, random: Random, background: Floats | tuple[float, float, float], shift: float = 0) -> Floats:
    """The product on a background of (height, width, 3) or one colour, in the middle or up to `shift` off it."""
    edge = scene.cover.shape[0]
    height, width = (int(edge * random.uniform(1.08, 1.6)) for _ in range(2))
    canvas = _background(background, height, width)
    top, left = (int((whole - edge) * np.clip(0.5 + random.uniform(-shift, shift), 0, 1)) for whole in (height, width))
    cover = scene.cover[..., None]
    window = canvas[top : top + edge, left : left + edge]
    canvas[top : top + edge, left : left + edge] = window * (1 - cover) + scene.colours * cover
    return canvas


def _background(colour: Floats | tuple[float, float, float], height: int, width: int) -> Floats:
    corners = np.array(colour, np.float32)
    if corners.ndim == 1:
        return np.ones((height, width, 3), np.float32) * corners
    return np.asarray(cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _gradient(random: Random, low: float, high: float) -> Floats:
    """Colours of the four corners, which lie on a plane."""
    base, down, right = random.uniform(low, high), random.uniform(-25, 25), random.uniform(-25, 25)
    corners = np.array([[base, base + right], [base + down, base + down + right]], np.float32)
    return np.repeat(corners.clip(0, 255)[..., None], 3, axis=2)


def encoded(image: Floats | Image.Image, form: str, **options: object) -> bytes:
    """The image, float32 0 to 255 (height, width) or (height, width, 3) or Pillow's, as a file of Pillow's `form`."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(np.rint(image.clip(0, 255)).astype(np.uint8))
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def _jpeg(image: Floats, random: Random) -> bytes:
    return encoded(image, "JPEG", quality=int(random.integers(70, 96)))


def _clean(thumbnail: Pixels, _random: Random) -> bytes:
    return encoded(Image.fromarray(thumbnail), "PNG")


def _negated(thumbnail: Pixels, _random: Random) -> bytes:
    return encoded(Image.fromarray(255 - thumbnail), "PNG")


def _on_white(thumbnail: Pixels, random: Random) -> bytes:
    return _jpeg(_placed(_scene(thumbnail, random), random, _WHITE), random)


def _coloured(thumbnail: Pixels, random: Random) -> bytes:
    tint = tuple(random.uniform(0.4, 1, 3))
    return _jpeg(_placed(_scene(thumbnail, random, tint), random, _WHITE), random)


def _on_grey(thumbnail: Pixels, random: Random) -> bytes:
    return _jpeg(_placed(_scene(thumbnail, random), random, (random.uniform(150, 245),) * 3), random)


def _on_tint(thumbnail: Pixels, random: Random) -> bytes:
    return _jpeg(_placed(_scene(thumbnail, random), random, tuple(random.uniform(190, 255, 3))), random)


def _on_gradient(thumbnail: Pixels, random: Random) -> bytes:
    return _jpeg(_placed(_scene(thumbnail, random), random, _gradient(random, 200, 245)), random)


def _on_dark(thumbnail: Pixels, random: Random) -> bytes:
    """As the data set shows it, light on dark, but large and in front of a wall that is not quite black."""
    scene = _scene(thumbnail, random)
    return _jpeg(_placed(_Scene(255 - scene.colours, scene.cover), random, (random.uniform(0, 40),) * 3), random)


def _with_shadow(thumbnail: Pixels, random: Random) -> bytes:
    """Lit from above: a soft shadow on the white table, around the product and more of it below."""
    scene = _scene(thumbnail, random)
    image = _placed(scene, random, _WHITE)
    dark = 1 - image.min(axis=2) / 255
    spread = 0.03 * max(image.shape[:2])
    shadow = cv2.GaussianBlur(np.roll((dark > 0.05).astype(np.float32), int(spread), axis=0), (0, 0), spread)
    return _jpeg(image * (1 - random.uniform(0.05, 0.2) * shadow * (dark < 0.05))[..., None], random)


def _cut_close(thumbnail: Pixels, random: Random) -> bytes:
    """Without any margin: the product touches the edges."""
    scene = _scene(thumbnail, random)
    cover = scene.cover > 0.5
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    on_white = 255 * (1 - scene.cover[..., None]) + scene.colours * scene.cover[..., None]
    return _jpeg(on_white[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], random)


def _rotated(thumbnail: Pixels, random: Random) -> bytes:
    image = Image.fromarray(_placed(_scene(thumbnail, random), random, _WHITE).clip(0, 255).astype(np.uint8))
    turned = image.rotate(random.uniform(-10, 10), Image.Resampling.BILINEAR, expand=True, fillcolor=(255, 255, 255))
    return encoded(turned, "JPEG", quality=90)


def _off_centre(thumbnail: Pixels, random: Random) -> bytes:
    return _jpeg(_placed(_scene(thumbnail, random), random, _WHITE, shift=0.5), random)


def _noisy(thumbnail: Pixels, random: Random) -> bytes:
    image = _placed(_scene(thumbnail, random), random, (random.uniform(225, 250),) * 3)
    noise = random.standard_normal(image.shape, np.float32) * np.float32(random.uniform(3, 10))
    return _jpeg(image + noise, random)


def _strongly_compressed(thumbnail: Pixels, random: Random) -> bytes:
    return encoded(_placed(_scene(thumbnail, random), random, _WHITE), "JPEG", quality=int(random.integers(30, 50)))


def _transparent(thumbnail: Pixels, random: Random) -> bytes:
    scene = _scene(thumbnail, random)
    pixels = np.dstack([scene.colours, scene.cover * 255])
    return encoded(Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8)), "PNG", compress_level=1)


def _webp(thumbnail: Pixels, random: Random) -> bytes:
    image = _placed(_scene(thumbnail, random), random, _WHITE)
    return encoded(image, "WEBP", quality=int(random.integers(50, 96)), method=0)


def _sideways(thumbnail: Pixels, random: Random) -> bytes:
    """Stored as the camera held it, with the turn that makes it upright in its EXIF data."""
    upright = Image.fromarray(_placed(_scene(thumbnail, random), random, _WHITE).clip(0, 255).astype(np.uint8))
    value, back = ((3, 180), (6, 90), (8, 270))[int(random.integers(3))]
    exif = Image.Exif()
    exif[_ORIENTATION] = value
    return encoded(upright.rotate(back, expand=True), "JPEG", quality=90, exif=exif)


# A kind makes an encoded image from a thumbnail, uint8 (28, 28).
KINDS: dict[str, Callable[[Pixels, Random], bytes]] = {
    "clean": _clean,
    "negated": _negated,
    "on white": _on_white,
    "coloured": _coloured,
    "on grey": _on_grey,
    "on tinted": _on_tint,
    "on a gradient": _on_gradient,
    "on dark": _on_dark,
    "with a shadow": _with_shadow,
    "cut close": _cut_close,
    "rotated": _rotated,
    "off-centre": _off_centre,
    "noisy": _noisy,
    "JPEG quality 30-50": _strongly_compressed,
    "transparent PNG": _transparent,
    "WebP": _webp,
    "EXIF orientation": _sideways,
}
