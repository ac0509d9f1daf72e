"""TIFF: its first page, with the tags that say where its pixels are and what they mean. Knows no decoder.

A TIFF can hold anything, from fax pages to raw data of sensors. What Pillow would show wrongly or libtiff decodes by
rarely used code is refused here by name; so is what has more parts than pictures have.
"""

import struct
from typing import NamedTuple

from models.image_errors import BrokenImage, TooComplex
from models.image_parts import Scan

# Microscopes and maps write some 40.
MOST_TAGS = 500
# 25 megapixels in tiles of 16 × 16.
MOST_PIECES = 100_000
_LARGE_TILE = 4096 * 4096

_KIND, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS, _SAMPLES, _FORMAT = 254, 256, 257, 258, 259, 262, 277, 339
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_DNG_VERSION, _CFA = 50706, 32803
# Those beside them that say how pixels are stored: strips, orientation, planes, predictor, palette, tiles,
# transparency, JPEG's tables, and YCbCr.
_KEPT = {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS, _SAMPLES, _FORMAT}
_KEPT |= {266, 273, 274, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 347, 529, 530, 531, 532}
_PIECES = {273, 279, 324, 325}
_COMPRESSIONS = {1: "none", 5: "LZW", 7: "JPEG", 8: "deflate", 32773: "PackBits", 32946: "deflate"}
_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 2, 3, 5, 6
_READ_COLOURS = {_WHITE_IS_ZERO, 1, _RGB, _PALETTE, _CMYK, _YCBCR}
_FORMATS = {1: "unsigned integers", 2: "signed integers", 3: "floating-point numbers"}
# Of the types of whole numbers; the sizes of all types.
_LETTERS = {1: "B", 3: "H", 4: "I"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


class _Tag(NamedTuple):
    """As it stands in the directory: twelve bytes, of which the last four are the value, or where it is."""

    kind: int
    values: int
    entry: bytes


def tiff(content: bytes) -> Scan:
    """The first page alone. Raises TooComplex, or BrokenImage for a kind of TIFF that is not read."""
    order = "<" if content.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    if count > MOST_TAGS:
        raise TooComplex(f"the TIFF image has more than {MOST_TAGS} tags, which no camera writes; save it anew")
    tags: dict[int, _Tag] = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        number, kind, values = struct.unpack_from(f"{order}HHI", content, place)
        tags.setdefault(number, _Tag(kind, values, content[place : place + 12]))
    size = _checked(content, tags, order)
    kept = [tag.entry for number, tag in sorted(tags.items()) if number in _KEPT]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    # Without what it leaves out the directory is no longer than it was; the pages behind it are not named any more.
    directory = directory.ljust(2 + 12 * count, b"\0")
    return Scan("TIFF", content[:start] + directory + content[start + len(directory) :], size)


def _checked(content: bytes, tags: dict[int, _Tag], order: str) -> tuple[int, int]:
    """Width and height. Raises as `tiff` does."""

    def values(number: int, default: tuple[int, ...]) -> tuple[int, ...]:
        tag = tags.get(number)
        if tag is None or not tag.values:
            return default
        letter, length = _LETTERS[tag.kind], _SIZES[tag.kind] * tag.values
        place, among = (
            (8, tag.entry) if length <= 4 else (int(struct.unpack_from(f"{order}I", tag.entry, 8)[0]), content)
        )
        return struct.unpack_from(f"{order}{min(tag.values, 8)}{letter}", among, place)

    if (
        values(_KIND, (0,))[0] & 1
        or _DNG_VERSION in tags
        or content[8:10] == b"CR"
        or values(_COLOURS, (1,))[0] == _CFA
    ):
        raise BrokenImage("the TIFF image is a camera's RAW, or begins with a thumbnail; send the photograph as JPEG")
    for number in _KEPT & tags.keys():
        if tags[number].values > (MOST_PIECES if number in _PIECES else 1 << 20) or tags[number].kind not in _SIZES:
            raise TooComplex(f"the TIFF image consists of more than {MOST_PIECES:,} pieces; save it as PNG")
    width, height = values(_WIDTH, ())[0], values(_HEIGHT, ())[0]
    across, down = values(_TILE_WIDTH, (0,))[0], values(_TILE_HEIGHT, (0,))[0]
    if across * down > max(_LARGE_TILE, 2 * width * height):
        raise TooComplex(
            f"the TIFF image has tiles of {across:,} × {down:,} pixels, more than it has itself; save it anew"
        )
    (compression, *_), (colours, *_) = values(_COMPRESSION, (1,)), values(_COLOURS, (1,))
    if compression not in _COMPRESSIONS:
        raise BrokenImage(
            f"the TIFF image has compression {compression}, and those that are read are "
            f"{', '.join(sorted(set(_COMPRESSIONS.values())))}; save it with one of them, or as PNG"
        )
    bits, formats, (samples, *_) = values(_BITS, (1,)), values(_FORMAT, (1,)), values(_SAMPLES, (1,))
    deep_negative = max(bits) > 8 and colours == _WHITE_IS_ZERO
    if set(bits) - {1, 4, 8, 16} or set(formats) != {1} or samples > 4 or colours not in _READ_COLOURS or deep_negative:
        kinds = ", ".join(_FORMATS.get(one, f"kind {one}") for one in sorted(set(formats)))
        raise BrokenImage(
            f"the TIFF image has {samples} samples a pixel of {max(bits)} bits ({kinds}, colours {colours}), and grey "
            "of 1 to 16 bits and colours of 8 or 16 bits are read; scale it to 8 bits and save it as PNG"
        )
    return width, height
