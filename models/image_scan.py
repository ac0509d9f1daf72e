"""Encoded bytes → what a decoder needs of them, its parts counted. Knows how formats are laid out, and no decoder.

Decoders take long over what no picture has: a million segments of metadata, thousands of scans. Each format is walked
here once, in time that grows as its bytes do; what says nothing of the pixels of the first frame is left out where the
format is a plain list of parts.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from models.image_errors import BrokenImage, TooComplex

# Cameras write some 20 segments, and up to 200 with a depth map or a colour profile of 255 parts.
MOST_JPEG_SEGMENTS = 1_000
# Encoders write about 10.
MOST_JPEG_SCANS = 100
# An image of 100 MB in pieces of 4 kB has half as many; one of several frames has two a frame.
MOST_CHUNKS = 50_000
MOST_AVIF_BOXES = 1_000
# An image of 1,000 tiles takes 20 kB, a film of 10,000 frames 100.
MOST_AVIF_ITEM_BYTES, MOST_AVIF_FILM_BYTES = 64 << 10, 256 << 10
# Of a kind of metadata of which one is expected.
_MOST_PNG_NOTES = 16

# FF and what is no escaped FF, no filling and no restart marker: it ends entropy-coded data.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SOI, _EOI, _SOS, _APP1, _COM, _TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0xFE, 0x01
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# JFIF's and Adobe's segments say which colours the numbers are.
_WITHOUT_PIXELS = (frozenset(range(0xE0, 0xF0)) | {_COM}) - {0xE0, 0xEE}
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_PNG_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
# Where a PNG may say which way is up; text of any other name is left out.
_PNG_TEXT = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_PNG_NOTES = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0", b"exif\0")
_GIF_BLOCK = re.compile(rb"[!,;]")
_GIF_EXTENSION, _GIF_IMAGE, _GIF_GRAPHIC_CONTROL = b"!", b",", 0xF9


class Scan(NamedTuple):
    """What an encoded image is made of.

    `content` are the bytes for the decoder, of format `form`; `size` is the width and height, None where only a decoder
    can tell; `scans` is how often all pixels are visited. `exif` and `xmp` are a JPEG's, and left out of its `content`.
    """

    form: str
    content: bytes
    size: tuple[int, int] | None
    scans: int = 1
    exif: bytes = b""
    xmp: bytes = b""


def scan(content: bytes, form: str) -> Scan:
    """Walk an encoded image of format `form`, a name of `models.decoding.FORMATS`.

    Raises TooComplex where it has more parts than images have, and BrokenImage where it ends before its size is told.
    """
    try:
        return _WALKS[form](content)
    except (struct.error, IndexError):
        raise BrokenImage(f"the {form} image cannot be read: its header is damaged or cut short") from None


def _jpeg(content: bytes) -> Scan:
    size, scans, segments, exif, xmp = None, 0, 0, [], b""
    kept, start, end = [], 0, 2
    while found := _JPEG_MARKER.search(content, end):
        marker, end = content[found.end() - 1], found.end()
        segments = _counted(segments, MOST_JPEG_SEGMENTS, "JPEG", "segments")
        if marker == _EOI:
            break  # what follows is no part of the image: others, a film
        if marker in {_SOI, _TEM}:
            continue
        body, end = end + 2, end + max(2, int.from_bytes(content[end : end + 2], "big"))
        if marker == _SOS:
            scans = _counted(scans, MOST_JPEG_SCANS, "JPEG", "scans")
        elif marker in _SOF and not scans:
            height, width = struct.unpack_from(">HH", content, body + 1)
            size = (width, height)
        elif marker in _WITHOUT_PIXELS:
            kept.append(content[start : found.start()])
            start = end
            if marker == _APP1 and not scans:
                if content.startswith(_EXIF, body):
                    exif.append(content[body + len(_EXIF) : end])
                elif content.startswith(_XMP, body):
                    xmp = content[body + len(_XMP) : end]
    kept.append(content[start : end if found else len(content)])
    return Scan("JPEG", b"".join(kept), size, scans, b"".join(exif), xmp)


def _png(content: bytes) -> Scan:
    size = struct.unpack_from(">II", content, 16) if content[12:16] == b"IHDR" else None
    kept, start, end, chunks, notes = [], 0, 8, 0, 0
    while end + 8 <= len(content):
        begin = end
        length, kind = struct.unpack_from(">I4s", content, begin)
        end = begin + 12 + length
        chunks = _counted(chunks, MOST_CHUNKS, "PNG", "chunks")
        if kind in _PNG_PIXELS or not kind.isalpha():
            if kind == b"IEND":
                break
            continue
        if kind == b"eXIf" or (kind in _PNG_TEXT and content.startswith(_PNG_NOTES, begin + 8)):
            notes = _counted(notes, _MOST_PNG_NOTES, "PNG", "chunks that say which way is up")
            continue
        kept.append(content[start:begin])
        start = end
    kept.append(content[start:end])
    return Scan("PNG", b"".join(kept), size)


def _gif(content: bytes) -> Scan:
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    end = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    kept, blocks = [content[:end]], 0
    while found := _GIF_BLOCK.search(content, end):
        begin = found.start()
        blocks = _counted(blocks, MOST_CHUNKS, "GIF", "blocks")
        if found[0] == _GIF_IMAGE:
            left, top, across, down = struct.unpack_from("<HHHH", content, begin + 1)
            return Scan("GIF", b"".join((*kept, content[begin:])), (max(width, left + across), max(height, top + down)))
        if found[0] != _GIF_EXTENSION:
            break
        end = begin + 2
        while (length := content[end]) != 0:
            blocks = _counted(blocks, MOST_CHUNKS, "GIF", "blocks")
            end += 1 + length
        end += 1
        if content[begin + 1] == _GIF_GRAPHIC_CONTROL:
            kept.append(content[begin:end])
    raise BrokenImage("the GIF image cannot be read: there is no picture in it")


def _webp(content: bytes) -> Scan:
    chunks, end = 0, 12
    while end + 8 <= len(content):
        chunks = _counted(chunks, MOST_CHUNKS, "WEBP", "chunks")
        (length,) = struct.unpack_from("<I", content, end + 4)
        end += 8 + length + length % 2
    return Scan("WEBP", content, _webp_size(content))


def _webp_size(content: bytes) -> tuple[int, int] | None:
    match content[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", content, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


def _bmp(content: bytes) -> Scan:
    (header,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", content, 18)
    return Scan("BMP", content, (abs(width), abs(height)))


def _avif(content: bytes) -> Scan:
    boxes = 0

    def walk(begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        nonlocal boxes
        while begin + 8 <= end:
            boxes = _counted(boxes, MOST_AVIF_BOXES, "AVIF", "boxes")
            length, kind = struct.unpack_from(">I4s", content, begin)
            body = begin + 8
            if length == 1:
                (length,) = struct.unpack_from(">Q", content, body)
                body += 8
            stop = end if length == 0 else min(begin + max(8, length), end)
            yield kind, body, stop
            begin = stop

    items = 0
    for kind, begin, end in walk(0, len(content)):
        if kind == b"moov" and end - begin > MOST_AVIF_FILM_BYTES:
            raise TooComplex(f"the AVIF image has {end - begin:,} bytes that list its frames; save its first one alone")
        if kind != b"meta":
            continue
        for part, inner, stop in walk(begin + 4, end):
            inside = walk(inner, stop) if part == b"iprp" else [(part, inner, stop)]
            for name, first, last in inside:
                if name == b"ipco":
                    _ = list(walk(first, last))
                elif name != b"idat":
                    items += last - first
        if items > MOST_AVIF_ITEM_BYTES:
            raise TooComplex(f"the AVIF image has {items:,} bytes that list what it consists of; save it as one piece")
    return Scan("AVIF", content, None)


def _counted(count: int, most: int, form: str, parts: str) -> int:
    if count >= most:
        raise TooComplex(f"the {form} image has more than {most:,} {parts}, which no camera writes; save it anew")
    return count + 1


_WALKS: dict[str, Callable[[bytes], Scan]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "AVIF": _avif,
}
