"""JPEG: its segments and scans, counted, without metadata; whether it is all there. Knows no decoder."""

import re
import struct
from typing import NamedTuple

from models.image_errors import BrokenImage
from models.image_parts import Scan, counted

# Cameras write some 20 segments, and up to 200 with a depth map or a colour profile of 255 parts.
MOST_SEGMENTS = 1_000
# Encoders write about 10.
MOST_SCANS = 100

# FF and what is no escaped FF, no filling and no restart marker: it ends entropy-coded data.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SOI, _EOI, _SOS, _APP1, _COM, _TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0xFE, 0x01
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
# JFIF's and Adobe's segments say which colours the numbers are.
_WITHOUT_PIXELS = (frozenset(range(0xE0, 0xF0)) | {_COM}) - {0xE0, 0xEE}
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_COEFFICIENTS, _COEFFICIENT_BYTES = 64, 2


class _Frame(NamedTuple):
    """Its kind, and the sampling factors of each component."""

    kind: int
    width: int
    height: int
    components: dict[int, tuple[int, int]]

    @property
    def coefficient_bytes(self) -> int:
        """What a decoder keeps until the last scan, where there are several."""
        across = 8 * max((wide for wide, _ in self.components.values()), default=1)
        down = 8 * max((tall for _, tall in self.components.values()), default=1)
        blocks = sum(wide * tall for wide, tall in self.components.values())
        return -(-self.width // across) * -(-self.height // down) * blocks * _COEFFICIENTS * _COEFFICIENT_BYTES


def jpeg(content: bytes) -> Scan:
    """The image without what follows it and what says nothing of its pixels.

    One that lacks its end is given one, and is `cut_short`. Raises TooComplex, and BrokenImage where it cannot be told
    how much else is missing.
    """
    frame: _Frame | None = None
    scans: list[bytes] = []
    segments, exif, xmp = 0, [], b""
    kept, start, end = [], 0, 2
    while found := _MARKER.search(content, end):
        marker, end = content[found.end() - 1], found.end()
        segments = counted(segments, MOST_SEGMENTS, "JPEG", "segments")
        if marker == _EOI:
            break  # what follows is no part of the image: others, a film
        if marker in {_SOI, _TEM}:
            continue
        body, end = end + 2, end + max(2, int.from_bytes(content[end : end + 2], "big"))
        if marker == _SOS:
            counted(len(scans), MOST_SCANS, "JPEG", "scans")
            scans.append(content[body:end])
        elif marker in _SOF and not scans:
            frame = _frame(marker, content[body:end])
        elif marker in _WITHOUT_PIXELS:
            kept.append(content[start : found.start()])
            start = end
            if marker == _APP1 and not scans:
                if content.startswith(_EXIF, body):
                    exif.append(content[body + len(_EXIF) : end])
                elif content.startswith(_XMP, body):
                    xmp = content[body + len(_XMP) : end]
    kept.append(content[start : end if found else len(content)])
    cut_short = found is None
    if cut_short:
        if frame is None or not _ends_in_its_last_scan(frame, scans):
            raise BrokenImage("the JPEG image cannot be decoded: it is cut short; send all of its bytes")
        kept.append(bytes((0xFF, _EOI)))
    return Scan(
        "JPEG",
        b"".join(kept),
        (frame.width, frame.height) if frame else None,
        len(scans),
        b"".join(exif),
        xmp,
        cut_short,
        frame.coefficient_bytes if frame and (frame.kind == _PROGRESSIVE or len(scans) > 1) else 0,
    )


def _frame(kind: int, segment: bytes) -> _Frame:
    height, width, count = struct.unpack_from(">HHB", segment, 1)
    components = (segment[place : place + 3] for place in range(6, 6 + 3 * count, 3))
    return _Frame(kind, width, height, {one[0]: (one[1] >> 4 or 1, one[1] & 15 or 1) for one in components})


def _ends_in_its_last_scan(frame: _Frame, scans: list[bytes]) -> bool:
    """Whether nothing can be missing but the last rows, or, where it is progressive, what the last scan makes finer.

    What a decoder puts in the place of other missing data cannot be told from an image.
    """
    if frame.kind in {_BASELINE, _EXTENDED}:
        return len(scans) == 1 and scans[0][0] == len(frame.components)
    if frame.kind != _PROGRESSIVE or not scans:
        return False
    exact: set[tuple[int, int]] = set()
    for one in scans:
        count = one[0]
        first, last, bits = struct.unpack_from("3B", one, 1 + 2 * count)
        if bits & 15 == 0:
            exact.update((one[1 + 2 * i], number) for i in range(count) for number in range(first, last + 1))
    wanted = {(component, number) for component in frame.components for number in range(_COEFFICIENTS)}
    return bits >> 4 > 0 and wanted <= exact
