"""Encoded bytes → what a decoder needs of them, its parts counted. Knows how formats are laid out, and no decoder.

Decoders take long over what no picture has: a million segments of metadata, thousands of scans. Each format is walked
here once, in time that grows as its bytes do; what says nothing of the pixels of the first frame is left out where the
format is a plain list of parts.
"""

import re
import struct
from collections.abc import Callable

from models.heif_scan import avif, heic
from models.image_errors import BrokenImage
from models.image_parts import Scan, counted
from models.jpeg_scan import jpeg
from models.tiff_scan import tiff

# An image of 100 MB in pieces of 4 kB has half as many; one of several frames has two a frame.
MOST_CHUNKS = 50_000
# Of a kind of metadata of which one is expected.
_MOST_PNG_NOTES = 16

_PNG_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
# Where a PNG may say which way is up; text of any other name is left out.
_PNG_TEXT = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_PNG_NOTES = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0", b"exif\0")
_GIF_BLOCK = re.compile(rb"[!,;]")
_GIF_EXTENSION, _GIF_IMAGE, _GIF_GRAPHIC_CONTROL = b"!", b",", 0xF9


def scan(content: bytes, form: str) -> Scan:
    """Walk an encoded image of format `form`, a name of `models.image_formats.FORMATS`.

    Raises TooComplex where it has more parts than images have, and BrokenImage where it ends before its size is told.
    """
    try:
        return _WALKS[form](content)
    except (struct.error, LookupError):
        raise BrokenImage(f"the {form} image cannot be read: its header is damaged or cut short") from None


def _png(content: bytes) -> Scan:
    size = struct.unpack_from(">II", content, 16) if content[12:16] == b"IHDR" else None
    kept, start, end, chunks, notes = [], 0, 8, 0, 0
    while end + 8 <= len(content):
        begin = end
        length, kind = struct.unpack_from(">I4s", content, begin)
        end = begin + 12 + length
        chunks = counted(chunks, MOST_CHUNKS, "PNG", "chunks")
        if kind in _PNG_PIXELS or not kind.isalpha():
            if kind == b"IEND":
                break
            continue
        if kind == b"eXIf" or (kind in _PNG_TEXT and content.startswith(_PNG_NOTES, begin + 8)):
            notes = counted(notes, _MOST_PNG_NOTES, "PNG", "chunks that say which way is up")
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
        blocks = counted(blocks, MOST_CHUNKS, "GIF", "blocks")
        if found[0] == _GIF_IMAGE:
            left, top, across, down = struct.unpack_from("<HHHH", content, begin + 1)
            return Scan("GIF", b"".join((*kept, content[begin:])), (max(width, left + across), max(height, top + down)))
        if found[0] != _GIF_EXTENSION:
            break
        end = begin + 2
        while (length := content[end]) != 0:
            blocks = counted(blocks, MOST_CHUNKS, "GIF", "blocks")
            end += 1 + length
        end += 1
        if content[begin + 1] == _GIF_GRAPHIC_CONTROL:
            kept.append(content[begin:end])
    raise BrokenImage("the GIF image cannot be read: there is no picture in it")


def _webp(content: bytes) -> Scan:
    chunks, end = 0, 12
    while end + 8 <= len(content):
        chunks = counted(chunks, MOST_CHUNKS, "WEBP", "chunks")
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


_WALKS: dict[str, Callable[[bytes], Scan]] = {
    "JPEG": jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "AVIF": avif,
    "HEIF": heic,
    "TIFF": tiff,
}
