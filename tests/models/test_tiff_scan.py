"""TIFF: kinds as scanners, microscopes and maps write them; all others are refused by name."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.decoding import open_image, scanned, upright
from models.image_errors import BrokenImage, ImageError, TooComplex, TooManyPixels
from tests.attacks import pictures
from tests.samples import encoded

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)).resize((96, 80))


def seen(content: bytes) -> Image.Image:
    return upright(open_image(content, 1_000_000), 10_000)


def tiff(image: Any = PHOTO, **options: Any) -> bytes:
    return encoded(image, "TIFF", **options)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_a_tiff_of_each_mode_keeps_its_pixels(mode: str, compression: str | None) -> None:
    image = PHOTO.convert(mode)
    assert np.array_equal(seen(tiff(image, compression=compression)).convert("RGB"), image.convert("RGB"))


def test_jpeg_in_a_tiff_comes_close() -> None:
    assert np.abs(np.asarray(seen(tiff(compression="jpeg")), int) - np.asarray(PHOTO, int)).mean() < 5


def test_transparent_parts_are_white() -> None:
    image = PHOTO.convert("RGBA")
    image.putalpha(0)
    assert np.unique(seen(tiff(image))).tolist() == [255]


def test_the_first_of_several_pages_is_read_and_no_other_is_left() -> None:
    content = tiff(save_all=True, append_images=[PHOTO.rotate(90), PHOTO.rotate(180)])
    assert np.array_equal(seen(content), PHOTO)
    assert getattr(open_image(content, 1_000_000), "n_frames", 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(seen(tiff(tiffinfo={274: orientation})), seen(encoded(PHOTO, exif=exif)))


def big_endian_grey(values: np.ndarray) -> bytes:
    height, width = values.shape
    tags = ((256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 200), (277, 1), (279, 2 * values.size))
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    return (struct.pack(">2sHIH", b"MM", 42, 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0") + values.astype(
        ">u2"
    ).tobytes()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bit_grey_uses_the_bits_of_its_largest_value(bits: int) -> None:
    values = np.linspace(0, (1 << bits) - 1, 100).astype(np.uint16).reshape(10, 10)
    expected = values >> (bits - 8)
    for content in (tiff(values), tiff(values, compression="tiff_lzw"), big_endian_grey(values), encoded(values)):
        assert np.array_equal(seen(content), expected)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(np.zeros((4, 4), np.float32)), "32 bits .floating-point numbers"),
        (tiff(np.zeros((4, 4), np.int32)), "32 bits .signed integers"),
        (tiff(PHOTO.convert("1"), compression="group4"), "compression 4, and those that are read are"),
        (tiff(PHOTO.convert("LAB")), "colours 8"),
        (tiff(tiffinfo={254: 1}), "camera's RAW, or begins with a thumbnail"),
        (tiff(tiffinfo={50706: b"\1\4\0\0"}), "camera's RAW"),
        (pictures.tiff_of_bands(5), "5 samples a pixel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_be_shown_wrongly_is_refused_by_name(content: bytes, reason: str) -> None:
    with pytest.raises(BrokenImage, match=reason):
        scanned(content)


def test_the_size_is_told_without_a_decoder() -> None:
    with pytest.raises(TooManyPixels, match="96 × 80 pixels, and at most 7,679 of a TIFF are read"):
        open_image(tiff(), 7_679)


@pytest.mark.parametrize("attack", [pictures.tiff_of_tags, pictures.tiff_of_strips, pictures.tiff_of_large_tiles])
def test_a_tiff_of_more_parts_than_pictures_have_is_refused(attack: pictures.Attack) -> None:
    with pytest.raises(TooComplex):
        scanned(attack())


def test_a_tiff_that_lacks_bytes_is_broken() -> None:
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        content = tiff(compression=compression)
        for missing in (1, 100, len(content) // 2):
            with pytest.raises(ImageError):
                seen(content[:-missing])


@pytest.mark.parametrize("tag", [256, 257, 258, 259, 262, 277])
def test_a_tag_without_a_value_makes_an_image_broken_at_worst(tag: int) -> None:
    content = big_endian_grey(np.zeros((4, 4), np.uint16))
    entry = content.index(struct.pack(">HHI", tag, 4, 1))
    damaged = content[: entry + 4] + bytes(4) + content[entry + 8 :]
    if tag in {256, 257}:
        with pytest.raises(BrokenImage):
            scanned(damaged)
    else:
        assert scanned(damaged).size == (4, 4)
