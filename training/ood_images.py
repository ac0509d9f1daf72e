"""Makes images that show nothing a network for clothing knows, one kind at a time; and how well they are told."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib import cbook
from PIL import Image, ImageDraw, ImageFont

from training.robustness import encoded

Floats = npt.NDArray[np.floating]
Random = np.random.Generator

_EDGE = 280
_LETTERS = list("abcdefghijklmnopqrstuvwxyz ABCDEFGHIJ 0123456789")
# The images that Matplotlib brings: a portrait, a drawing of a parcel, a logo.
_PHOTOGRAPHS = ("grace_hopper.jpg", "Minduka_Present_Blue_Pack.png", "logo2.png")


def separation(known: Floats, strange: Floats) -> float:
    """The share of pairs in which the known image's value is the higher one, a tie counted half; 0.5 is chance.

    This is the area under the receiver operating characteristic (Hanley and McNeil, 1982).
    """
    ordered = np.sort(strange)
    lower, not_higher = np.searchsorted(ordered, known, "left"), np.searchsorted(ordered, known, "right")
    return float(np.mean((lower + not_higher) / 2) / len(strange))


def _blank(random: Random) -> bytes:
    """One colour, with a camera's noise."""
    colour = random.uniform(20, 235, 3) + random.normal(0, random.uniform(0, 6), (_EDGE, _EDGE, 3))
    return encoded(colour.astype(np.float32), "JPEG", quality=90)


def _noise(random: Random) -> bytes:
    return encoded(random.uniform(0, 255, (_EDGE, _EDGE, 3)).astype(np.float32), "PNG", compress_level=1)


def _thumbnail_of_noise(random: Random) -> bytes:
    """28×28, grey, with a black border: nothing of it is prepared."""
    thumbnail = np.zeros((28, 28), np.float32)
    thumbnail[2:-2, 2:-2] = random.uniform(0, 255, (24, 24))
    return encoded(thumbnail, "PNG")


def _text(random: Random) -> bytes:
    page = Image.new("L", (_EDGE, _EDGE), 255)
    draw, size = ImageDraw.Draw(page), int(random.integers(12, 60))
    for top in range(8, _EDGE - size, int(size * 1.4)):
        line = "".join(random.choice(_LETTERS, 60))
        draw.text((10, top), line, fill=int(random.integers(0, 90)), font=ImageFont.load_default(size))
    return encoded(page, "PNG")


def _thumbnail_of_a_digit(random: Random) -> bytes:
    """Light on black and 28×28, as MNIST's are: nothing of it is prepared."""
    thumbnail = Image.new("L", (28, 28))
    font = ImageFont.load_default(22)
    ImageDraw.Draw(thumbnail).text((14, 14), str(random.integers(10)), fill=255, font=font, anchor="mm")
    return encoded(thumbnail.rotate(random.uniform(-15, 15), Image.Resampling.BILINEAR), "PNG")


def _shapes(random: Random) -> bytes:
    """A few ellipses in many colours, drawn over each other."""
    image = Image.new("RGB", (_EDGE, _EDGE), tuple(random.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        (left, top), (width, height) = random.integers(0, _EDGE, 2), random.integers(20, _EDGE, 2)
        draw.ellipse((left, top, left + width, top + height), fill=tuple(random.integers(0, 256, 3)))
    return encoded(image, "PNG", compress_level=1)


def _part_of_a_photograph(random: Random) -> bytes:
    path = cbook.get_sample_data(_PHOTOGRAPHS[random.integers(len(_PHOTOGRAPHS))], asfileobj=False)
    whole = np.asarray(Image.open(str(path)).convert("RGB"))
    edge = int(min(whole.shape[:2]) * random.uniform(0.3, 1))
    top, left = (int(random.integers(0, length - edge + 1)) for length in whole.shape[:2])
    part = cv2.resize(whole[top : top + edge, left : left + edge], (_EDGE, _EDGE), interpolation=cv2.INTER_AREA)
    return encoded(part.astype(np.float32), "JPEG", quality=90)


# A kind makes an encoded image.
OOD_KINDS: dict[str, Callable[[Random], bytes]] = {
    "blank": _blank,
    "noise": _noise,
    "thumbnails of noise": _thumbnail_of_noise,
    "text": _text,
    "thumbnails of digits": _thumbnail_of_a_digit,
    "shapes": _shapes,
    "parts of photographs": _part_of_a_photograph,
}
