"""What a walk over an encoded image finds, and the bound of what it counts. Knows no format."""

from typing import NamedTuple

from models.image_errors import TooComplex


class Scan(NamedTuple):
    """What an encoded image is made of.

    `content` are the bytes for the decoder, of format `form`; `size` is the width and height, None where only a decoder
    can tell; `scans` is how often all pixels are visited. `exif` and `xmp` are a JPEG's, and left out of its `content`;
    `cut_short` says that it lacked its end, and `coefficient_bytes` what a decoder keeps of it between several scans.
    """

    form: str
    content: bytes
    size: tuple[int, int] | None
    scans: int = 1
    exif: bytes = b""
    xmp: bytes = b""
    cut_short: bool = False
    coefficient_bytes: int = 0


def counted(count: int, most: int, form: str, parts: str) -> int:
    """One more than `count`. Raises TooComplex where that is more than `most`."""
    if count >= most:
        raise TooComplex(f"the {form} image has more than {most:,} {parts}, which no camera writes; save it anew")
    return count + 1
