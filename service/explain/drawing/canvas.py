"""Pictures, rectangles and words at places in pixels, as PNG or SVG. Knows neither Keras nor HTTP.

For what is many small pictures: Matplotlib takes a second for what takes Pillow some hundredths of one.
"""

import base64
import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xml.sax.saxutils import escape

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from models.plot_format import PlotFormat

Pixels = npt.NDArray[np.uint8]
Anchor = Literal["start", "middle", "end"]

# For Pillow: to the left of the place, around it or to the right of it, and with the line of writing on it.
_ANCHORS: dict[Anchor, str] = {"start": "ls", "middle": "ms", "end": "rs"}
_COMPRESSION = 3


class Box(NamedTuple):
    """A part of the canvas, from its top left."""

    left: float
    top: float
    width: float
    height: float


class _Picture(NamedTuple):
    box: Box
    pixels: Pixels


class _Rectangle(NamedTuple):
    box: Box
    colour: str
    opacity: float


class _Words(NamedTuple):
    x: float
    y: float
    words: str
    size: float
    colour: str
    anchor: Anchor


class Canvas:
    """A white sheet; what comes later lies over what came before."""

    def __init__(self, width: int, height: int) -> None:
        """Its size in pixels."""
        self.width, self.height = width, height
        self._shapes: list[_Picture | _Rectangle | _Words] = []

    def picture(self, box: Box, pixels: Pixels) -> None:
        """Pixels, uint8 (height, width, 3), stretched over the box without blurring them."""
        self._shapes.append(_Picture(box, pixels))

    def rectangle(self, box: Box, colour: str, opacity: float = 1.0) -> None:
        """Filled with a colour such as `#1f2933`."""
        self._shapes.append(_Rectangle(box, colour, opacity))

    def words(self, x: float, y: float, words: str, size: float, colour: str, anchor: Anchor = "start") -> None:
        """One line of writing on `y`, which begins, ends or has its middle at `x`."""
        self._shapes.append(_Words(x, y, words, size, colour, anchor))

    def encoded(self, form: PlotFormat) -> bytes:
        """The image; the same shapes give the same bytes each time."""
        return self._as_png() if form == "png" else "\n".join(self._as_svg()).encode()

    def _as_png(self) -> bytes:
        image = Image.new("RGB", (self.width, self.height), "white")
        draw = ImageDraw.Draw(image, "RGBA")
        for shape in self._shapes:
            match shape:
                case _Picture(box, pixels):
                    left, top, right, bottom = _corners(box)
                    image.paste(_resized(pixels, max(1, right - left), max(1, bottom - top)), (left, top))
                case _Rectangle(box, colour, opacity):
                    left, top, right, bottom = _corners(box)
                    fill = (*bytes.fromhex(colour[1:]), round(255 * opacity))
                    draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill)
                case _Words(x, y, words, size, colour, anchor):
                    draw.text((x, y), words, colour, _font(size), _ANCHORS[anchor])
        content = io.BytesIO()
        image.save(content, "PNG", compress_level=_COMPRESSION)
        return content.getvalue()

    def _as_svg(self) -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="DejaVu Sans, sans-serif">'
        )
        yield '<rect width="100%" height="100%" fill="white"/>'
        for shape in self._shapes:
            match shape:
                case _Picture(box, pixels):
                    content = io.BytesIO()
                    Image.fromarray(pixels).save(content, "PNG")
                    data = base64.b64encode(content.getvalue()).decode()
                    yield (
                        f'<image {_attributes(box)} preserveAspectRatio="none" style="image-rendering:pixelated" '
                        f'href="data:image/png;base64,{data}"/>'
                    )
                case _Rectangle(box, colour, opacity):
                    seen = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
                    yield f'<rect {_attributes(box)} fill="{colour}"{seen}/>'
                case _Words(x, y, words, size, colour, anchor):
                    yield (
                        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}">'
                        f"{escape(words)}</text>"
                    )
        yield "</svg>"


def _corners(box: Box) -> tuple[int, int, int, int]:
    left, top, width, height = box
    return round(left), round(top), round(left + width), round(top + height)


def _attributes(box: Box) -> str:
    return f'x="{box.left:g}" y="{box.top:g}" width="{box.width:g}" height="{box.height:g}"'


def _resized(pixels: Pixels, width: int, height: int) -> Image.Image:
    image = Image.fromarray(pixels)
    # What has more pixels than there is room for is averaged, and not left out.
    shrinks = width < image.width
    return image.resize((width, height), Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST)


@cache
def _font(size: float) -> Any:
    """Matplotlib's own font, which is there wherever Matplotlib is."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
