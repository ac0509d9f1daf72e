"""Which way up an image is, from its Exif data or XMP. Knows no pixels, and nothing else of what these say.

Pillow's own reading warns of each of thousands of tags that are damaged, in texts that Python keeps.
"""

import re
import struct
from collections.abc import Mapping
from typing import Any

UPRIGHT = 1

_PREFIX = re.compile(rb"(?:Exif\0\0){1,2}")
_ORDERS = {b"II": "<", b"MM": ">"}
_TAG = 0x0112
# TIFF's types of whole numbers, of two and of four bytes.
_TYPES = {3: "H", 8: "h", 4: "I", 9: "i"}
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_ORIENTATIONS = range(1, 9)


def orientation_of(info: Mapping[Any, Any]) -> int:
    """The Exif orientation, 1 to 8, that Pillow's `info` of an image tells; 1 where it tells none, or another."""
    found = _in_exif(_exif(info))
    if found is None and (matched := _IN_XMP.search(_as_bytes(info.get("XML:com.adobe.xmp") or info.get("xmp")))):
        found = int(matched[1])
    return found if found is not None and found in _ORIENTATIONS else UPRIGHT


def _exif(info: Mapping[Any, Any]) -> bytes:
    exif = info.get("exif")
    if exif is None and (raw := info.get("Raw profile type exif")):  # ImageMagick's, in hexadecimal digits
        try:
            return bytes.fromhex("".join(str(raw).split("\n")[3:]))
        except ValueError:
            return b""
    return _as_bytes(exif)


def _as_bytes(value: object) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            return value.encode("latin-1", "replace")
    return b""


def _in_exif(exif: bytes) -> int | None:
    """The value of the first directory's tag; None where it has none that can be read."""
    if prefix := _PREFIX.match(exif):
        exif = exif[prefix.end() :]
    order = _ORDERS.get(exif[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (tags,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * tags, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", exif, place)
            if tag == _TAG and kind in _TYPES:
                return int(struct.unpack_from(order + _TYPES[kind], exif, place + 8)[0]) if count == 1 else None
    except struct.error:
        return None
    return None
