"""AVIF and HEIC: which of the two a file of boxes is, and its parts, counted. Knows the boxes, and no decoder.

Both are HEIF (ISO/IEC 23008-12): a list of items in a box `meta`, their data elsewhere. A phone's HEIC has its picture
in tiles, and beside it thumbnails, depth, gain maps, films. Of a HEIC the decoder is given the picture alone: libheif
reads everything that it finds, and its faults were in what no picture needs.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from models.image_errors import BrokenImage, TooComplex
from models.image_parts import Scan, counted

MOST_BOXES = 1_000
# An image of 1,000 tiles takes 20 kB, a film of 10,000 frames 100.
MOST_ITEM_BYTES, MOST_FILM_BYTES = 64 << 10, 256 << 10
_MOST_BRANDS = 64

_AVIF = frozenset((b"avif", b"avis"))
_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
# What the decoders ask for by name.
_MAJOR = {"AVIF": b"avif", "HEIF": b"heic"}
# The boxes of a HEIC that its picture needs, outside of `meta` and in it.
_OUTSIDE = frozenset((b"ftyp", b"meta", b"mdat"))
_INSIDE = frozenset((b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"idat"))
_ALPHA = (b"urn:mpeg:hevc:2015:auxid:1\0", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
_HEVC, _GRID = b"hvc1", b"grid"


class _Box(NamedTuple):
    """Its kind and where that stands, and where its content begins and ends."""

    kind: bytes
    kind_at: int
    begin: int
    end: int


Walk = Callable[[int, int], Iterator[_Box]]


def is_avif(content: bytes) -> bool:
    """Whether the first box names AVIF, as the file's own format or one that it can be read as."""
    return _form(content) == "AVIF"


def is_heic(content: bytes) -> bool:
    """Whether the first box names HEIC, as the file's own format or one that it can be read as."""
    return _form(content) == "HEIF"


def avif(content: bytes) -> Scan:
    """An AVIF, whose parts are counted. Raises TooComplex."""
    _bounded("AVIF", content)
    return Scan("AVIF", content[:8] + _MAJOR["AVIF"] + content[12:], None)


def heic(content: bytes) -> Scan:
    """A HEIC, of which nothing is left but its picture. Raises TooComplex, or BrokenImage where it has none in HEVC."""
    walk = _bounded("HEIF", content)
    boxes = list(walk(0, len(content)))
    kept = bytearray(content)
    kept[8:12] = _MAJOR["HEIF"]
    # One that names a film's brand would be looked through for it.
    for place in range(16, boxes[0].end - 3, 4):
        kept[place : place + 4] = b"mif1"
    metas = [box for box in boxes if box.kind == b"meta"]
    if not metas:
        raise BrokenImage("the HEIF image cannot be read: it has no picture, or only a film; send a picture of it")
    _leave(kept, [box for box in boxes if box.kind not in _OUTSIDE] + metas[1:])
    inside = list(walk(metas[0].begin + 4, metas[0].end))
    first = {box.kind: box for box in reversed(inside) if box.kind in _INSIDE}
    _leave(kept, [box for box in inside if first.get(box.kind) != box])
    items = _Items(content, walk, first)
    picture = items.of_the_picture()
    _leave(kept, [box for number, _, box in items.listed if number not in picture])
    _leave(kept, [box for source, targets, box in items.references if not picture.issuperset((source, *targets))])
    return Scan("HEIF", bytes(kept), None)


def _leave(content: bytearray, boxes: list[_Box]) -> None:
    """Make them boxes that mean nothing, so that all others stay where they are."""
    for box in boxes:
        content[box.kind_at : box.kind_at + 4] = b"free"


class _Items:
    """What a `meta` lists: items of a kind, and which is made of which."""

    def __init__(self, content: bytes, walk: Walk, boxes: dict[bytes, _Box]) -> None:
        self._content, self._walk, self._boxes = content, walk, boxes
        self.primary = self._number(boxes[b"pitm"].begin, wide=self._version(boxes[b"pitm"]) > 0)
        self.listed = [self._item(box) for box in self._inside(b"iinf", 6) if box.kind == b"infe"]
        self.references = [self._reference(box) for box in self._inside(b"iref", 4)]

    def of_the_picture(self) -> set[int]:
        """The primary item, its transparency, and the tiles of both."""
        wholes = {self.primary}
        if transparencies := self._transparencies():
            wholes |= {
                source
                for source, targets, box in self.references
                if box.kind == b"auxl" and self.primary in targets and source in transparencies
            }
        tiles = {
            target
            for source, targets, box in self.references
            if box.kind == b"dimg" and source in wholes
            for target in targets
        }
        kinds = {number: kind for number, kind, _ in self.listed}
        for numbers, allowed in ((wholes, {_HEVC, _GRID}), (tiles, {_HEVC})):
            for kind in {kinds.get(number, b"nothing") for number in numbers} - allowed:
                raise BrokenImage(
                    f"the HEIF image has a picture of the kind {kind.decode('latin-1')!r}, and only HEVC's are read "
                    "(hvc1, also in a grid); save it as JPEG or PNG"
                )
        return wholes | tiles

    def _transparencies(self) -> set[int]:
        """The items with the property that says so."""
        if b"iprp" not in self._boxes:
            return set()
        properties = list(self._walk(self._boxes[b"iprp"].begin, self._boxes[b"iprp"].end))
        numbers = {
            number
            for box in properties
            if box.kind == b"ipco"
            for number, one in enumerate(self._walk(box.begin, box.end), 1)
            if one.kind == b"auxC" and self._content.startswith(_ALPHA, one.begin + 4)
        }
        return {
            item
            for box in properties
            if numbers and box.kind == b"ipma"
            for item, associated in self._associations(box)
            if numbers.intersection(associated)
        }

    def _associations(self, box: _Box) -> Iterator[tuple[int, list[int]]]:
        wide, large = self._version(box) > 0, self._content[box.begin + 3] & 1
        place = box.begin + 8
        while place < box.end:
            item = self._number(place - 4, wide=wide)
            place += 4 if wide else 2
            count, place = self._content[place], place + 1
            numbers = struct.unpack_from(f">{count}{'H' if large else 'B'}", self._content, place)
            place += count * (2 if large else 1)
            yield item, [number & (0x7FFF if large else 0x7F) for number in numbers]

    def _item(self, box: _Box) -> tuple[int, bytes, _Box]:
        wide = self._version(box) > 2
        place = box.begin + (10 if wide else 8)
        return self._number(box.begin, wide=wide), self._content[place : place + 4], box

    def _reference(self, box: _Box) -> tuple[int, list[int], _Box]:
        wide = self._version(self._boxes[b"iref"]) > 0
        source = self._number(box.begin - 4, wide=wide)
        targets = memoryview(self._content)[box.begin + (4 if wide else 2) : box.end]
        (count,) = struct.unpack_from(">H", targets)
        return source, list(struct.unpack_from(f">{count}{'I' if wide else 'H'}", targets, 2)), box

    def _inside(self, kind: bytes, skipped: int) -> list[_Box]:
        if kind not in self._boxes:
            return []
        box = self._boxes[kind]
        wider = 2 if kind == b"iinf" and self._version(box) > 0 else 0
        return list(self._walk(box.begin + skipped + wider, box.end))

    def _version(self, box: _Box) -> int:
        return self._content[box.begin]

    def _number(self, full_box: int, *, wide: bool) -> int:
        """The item's number behind the four bytes of version and flags that begin at `full_box`."""
        return int(struct.unpack_from(">I" if wide else ">H", self._content, full_box + 4)[0])


def _form(content: bytes) -> str | None:
    if content[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(content[:4], "big"), len(content), 16 + 4 * _MOST_BRANDS)
    brands = [content[8:12], *(content[place : place + 4] for place in range(16, end, 4))]
    return next((form for brand in brands for form, ours in (("AVIF", _AVIF), ("HEIF", _HEIC)) if brand in ours), None)


def _bounded(form: str, content: bytes) -> Walk:
    """Go through all boxes that list something, and give the walk over more. Raises TooComplex."""
    boxes = 0

    def walk(begin: int, end: int) -> Iterator[_Box]:
        nonlocal boxes
        while begin + 8 <= end:
            boxes = counted(boxes, MOST_BOXES, form, "boxes")
            length, kind = struct.unpack_from(">I4s", content, begin)
            kind_at, body = begin + 4, begin + 8
            if length == 1:
                (length,) = struct.unpack_from(">Q", content, body)
                body += 8
            stop = end if length == 0 else min(begin + max(8, length), end)
            yield _Box(kind, kind_at, body, stop)
            begin = stop

    items = 0
    for kind, _, begin, end in walk(0, len(content)):
        if kind == b"moov" and end - begin > MOST_FILM_BYTES:
            raise TooComplex(
                f"the {form} image has {end - begin:,} bytes that list its frames; save its first one alone"
            )
        if kind != b"meta":
            continue
        for part in walk(begin + 4, end):
            for name, _, first, last in walk(part.begin, part.end) if part.kind == b"iprp" else [part]:
                if name == b"ipco":
                    _ = list(walk(first, last))
                elif name != b"idat":
                    items += last - first
        if items > MOST_ITEM_BYTES:
            raise TooComplex(
                f"the {form} image has {items:,} bytes that list what it consists of; save it as one piece"
            )
    boxes = 0
    return walk
