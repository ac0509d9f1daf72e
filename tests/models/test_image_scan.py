"""The walk over encoded images: what hostile ones are refused for, and that real ones lose nothing but metadata."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from models.card import ImageInput
from models.decoding import TIMES_MAX_PIXELS, open_image, scanned, upright
from models.heif_scan import MOST_BOXES
from models.image_errors import BrokenImage, ImageError, TooComplex, TooManyPixels
from models.image_scan import MOST_CHUNKS
from models.jpeg_scan import MOST_SCANS, MOST_SEGMENTS
from models.preprocessing import prepared_pixels
from tests.attacks import pictures
from tests.samples import encoded

MAX_PIXELS = 25_000_000
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def exif(orientation: int, **more: bytes) -> Image.Exif:
    """With a camera's name and, as real ones have it, a resolution."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = orientation, "Maker", 72.0
    for maker_note in more.values():
        exif[0x927C] = maker_note
    return exif


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def seen(content: bytes) -> Image.Image:
    return upright(open_image(content, MAX_PIXELS), 10_000)


def as_pillow_reads(content: bytes) -> Image.Image:
    """All of the file given to Pillow, and turned upright by it."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")


def same(image: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(image), np.asarray(other))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pictures.jpeg_of_exif_segments(MOST_SEGMENTS), "1,000 segments"),
        (pictures.jpeg_of_comments(MOST_SEGMENTS), "1,000 segments"),
        (pictures.jpeg_of_scans(MOST_SCANS, 64, 64), "100 scans"),
        (pictures.png_of_text(MOST_CHUNKS), "50,000 chunks"),
        (pictures.png_of_empty_data(MOST_CHUNKS), "50,000 chunks"),
        (pictures.png_of_orientations(17), "16 chunks that say which way is up"),
        (pictures.gif_of_comments(MOST_CHUNKS), "50,000 blocks"),
        (pictures.webp_of_chunks(MOST_CHUNKS), "50,000 chunks"),
        (pictures.avif_of_items(5_000), "bytes that list what it consists of"),
        (pictures.avif_of_boxes(MOST_BOXES), "1,000 boxes"),
        (pictures.avif_of_frames(300_000), "bytes that list its frames"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_image_of_more_parts_than_images_have_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(TooComplex, match=reason):
        scanned(content)


@pytest.mark.parametrize("attack", pictures.ALL, ids=lambda attack: attack.__name__)
def test_a_hostile_image_is_refused_or_nothing_of_it_is_left_that_takes_long(attack: pictures.Attack) -> None:
    wanted = ImageInput(height=28, width=28, channels=1, scale=1 / 255)
    try:
        found = scanned(attack())
    except TooComplex:
        return
    if attack in pictures.DEAR_TO_DECODE:
        return  # what it costs is in its pixels, and bounded where they are decoded
    assert len(found.content) < 100_000 or attack is pictures.png_that_inflates
    assert prepared_pixels(open_image(attack(), MAX_PIXELS), wanted).shape == (28, 28, 1)


@pytest.mark.parametrize("repeated", [b"\xff", b"\xff\0", b"\xff\xd0", b"\xff\xd8", b"a", b"\xff\x01"])
def test_no_data_make_the_walk_over_a_jpeg_long(repeated: bytes) -> None:
    content = encoded(NOISE, "JPEG")[:-2] + repeated * (4_000_000 // len(repeated))
    try:
        scanned(content)  # where it went over some of it again for each byte, the test would not end
    except TooComplex as error:
        assert "1,000 segments" in str(error)  # noqa: PT017 - of some only


def test_as_many_scans_and_segments_as_are_allowed_are_read() -> None:
    scans = scanned(pictures.jpeg_of_scans(90, 64, 64))
    assert 90 < scans.scans <= MOST_SCANS
    assert seen(pictures.jpeg_of_scans(90, 64, 64)).getpixel((5, 5)) == 128
    assert seen(pictures.jpeg_of_comments(900)).size == (28, 28)


def test_a_phones_photograph_loses_its_metadata_and_no_pixel() -> None:
    plain = encoded(NOISE, "JPEG", exif=exif(6, maker_note=bytes(50_000)), icc_profile=bytes(1_000_000), quality=95)
    depth_map = b"".join(
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"\xff\xd8\xff\xe0" * 16_000) for _ in range(150)
    )
    thumbnail = segment(0xE2, b"MPF\0" + bytes(80)) + segment(0xED, b"Photoshop 3.0\0" + encoded(NOISE, "JPEG"))
    film = encoded(NOISE.rotate(90), "JPEG") + b"\0\0\0\x18ftypmp42" + np.random.default_rng(1).bytes(1_000_000)
    content = plain[:2] + depth_map + thumbnail + plain[2:] + film
    found = scanned(content)
    assert found.size == NOISE.size
    assert len(found.content) < 20_000
    assert b"Maker" in found.exif
    assert same(seen(content), as_pillow_reads(plain))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_keeps_its_pixels(mode: str, options: dict[str, int]) -> None:
    content = encoded(NOISE.convert(mode), "JPEG", comment=b"a\xff\xd9comment", **options)
    assert b"comment" not in scanned(content).content
    assert same(seen(content).convert("RGB"), as_pillow_reads(content))


def test_several_pictures_in_one_file_are_the_first() -> None:
    others = [NOISE.rotate(180), NOISE.rotate(90)]
    for form in ("MPO", "PNG", "GIF", "WEBP", "AVIF"):
        content = encoded(NOISE, form, save_all=True, append_images=others)
        assert same(seen(content), as_pillow_reads(content)), form


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_an_image_is_turned_as_its_exif_data_say(form: str, orientation: int) -> None:
    content = encoded(NOISE, form, exif=exif(orientation))
    assert same(seen(content), as_pillow_reads(content))


def test_an_image_is_turned_as_whatever_else_says_so() -> None:
    turned = NOISE.transpose(Image.Transpose.ROTATE_270)
    for content in (
        encoded(NOISE, "JPEG", xmp=XMP),
        encoded(NOISE, "WEBP", xmp=XMP, lossless=True),
        pictures.with_chunks(encoded(NOISE), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        pictures.with_chunks(
            encoded(NOISE),
            (b"tEXt", b"Raw profile type exif\0\nexif\n      26\n" + exif(6).tobytes().hex().encode() + b"\n"),
        ),
    ):
        assert same(seen(content), as_pillow_reads(content))
        assert seen(content).size == turned.size


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"XX*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x02\0\0\0\x06\0\0\0",  # two values
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",  # 99
    ],
)
def test_damaged_exif_data_leave_an_image_as_it_is(damaged: bytes) -> None:
    plain = encoded(NOISE, "JPEG")
    content = plain[:2] + segment(0xE1, b"Exif\0\0" + damaged) + plain[2:]
    assert same(seen(content), as_pillow_reads(plain))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_the_size_is_told_without_a_decoder(form: str) -> None:
    content = encoded(NOISE, form)
    assert scanned(content).size == NOISE.size
    most = 2_399 // TIMES_MAX_PIXELS.get(form, 1)
    with pytest.raises(TooManyPixels, match=f"60 × 40 pixels, and at most 2,39[29] of a {form} are read"):
        open_image(content, most)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "AVIF"])
def test_an_image_cut_short_is_broken_at_worst(form: str) -> None:
    content = encoded(NOISE, form)
    for length in range(13, len(content), 7):
        try:
            assert scanned(content[:length]).form == form
        except ImageError as error:
            assert isinstance(error, BrokenImage)  # noqa: PT017 - most lengths are fine
