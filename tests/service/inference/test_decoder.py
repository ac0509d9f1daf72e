"""Decoding: what is cheap for certain at once, all else in a process, and nothing that could hold the event loop up."""

import asyncio
import time

import numpy as np
import pytest
from PIL import Image

from models.card import ImageInput
from models.image_errors import BrokenImage, EmptyImage, TooManyPixels, UnknownFormat
from models.preprocessing import Pixels, PreparedImage
from service.inference.decoder import SMALL_IMAGE_BYTES, Decoder
from service.inference.waiting_bytes import WaitingBytes
from tests.attacks.pictures import jpeg_of_scans, png_of_exif_tags, png_that_inflates
from tests.samples import encoded

WANTED = ImageInput(height=4, width=4, channels=1, scale=1 / 255)
LARGE = encoded(Image.new("L", (600, 600), 200))
NOISE = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)


def soon() -> float:
    return time.monotonic() + 60


def at_once(content: bytes, max_pixels: int = 1_000_000) -> Pixels | None:
    return Decoder(max_pixels, 10, WaitingBytes(100_000_000)).at_once(content, WANTED)


def decoded(content: bytes, max_pixels: int = 1_000_000) -> Pixels:
    async def scenario() -> Pixels:
        decoder = Decoder(max_pixels, 10, WaitingBytes(100_000_000))
        try:
            return await decoder.pixels(content, WANTED, soon())
        finally:
            await decoder.close()

    return asyncio.run(scenario())


def is_the_models(pixels: Pixels | None) -> bool:
    return pixels is not None and pixels.shape == (4, 4, 1) and pixels.dtype == np.uint8


def with_second_header(png: bytes, other: bytes) -> bytes:
    """A PNG with the header of another behind its own: Pillow believes the second."""
    return png[:33] + other[8:33] + other[33:]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_small_image_is_decoded_at_once(form: str) -> None:
    assert is_the_models(at_once(encoded(Image.new("L", (4, 4)), form)))
    assert is_the_models(at_once(encoded(Image.new("L", (128, 128)), form)))


@pytest.mark.parametrize(
    "content",
    [
        LARGE,
        encoded(Image.new("L", (129, 128)), "JPEG"),
        encoded(Image.new("L", (28, 28)), "JPEG", comment=b"c" * 60_000) + bytes(SMALL_IMAGE_BYTES),
        encoded(Image.new("L", (28, 28)), "BMP"),
        encoded(Image.new("L", (28, 28)), "AVIF"),
        encoded(Image.new("L", (28, 28)), "HEIF"),
        encoded(Image.new("L", (28, 28)), "TIFF"),
        jpeg_of_scans(50, 100, 100),
        with_second_header(encoded(Image.new("L", (28, 28))), LARGE),
    ],
    ids=["pixels", "one pixel more", "bytes", "BMP", "AVIF", "HEIF", "TIFF", "scans", "two sizes"],
)
def test_what_could_take_long_is_decoded_in_a_process(content: bytes) -> None:
    assert at_once(content) is None
    assert is_the_models(decoded(content))


def test_what_a_person_is_to_see_comes_from_either() -> None:
    async def scenario() -> tuple[PreparedImage, PreparedImage]:
        decoder = Decoder(1_000_000, 10, WaitingBytes(100_000_000))
        decoder.start()
        try:
            small = await decoder.prepared(encoded(Image.new("L", (28, 28))), WANTED, soon())
            return small, await decoder.prepared(LARGE, WANTED, soon())
        finally:
            await decoder.close()

    small, large = asyncio.run(scenario())
    assert small.upright.size == (28, 28)
    assert large.upright.size == (600, 600)
    assert large.upright.getpixel((300, 300)) == 200
    assert is_the_models(large.pixels)


@pytest.mark.parametrize("side", [28, 224])
def test_what_inflates_behind_its_last_row_is_not_inflated_at_once(side: int) -> None:
    wanted = ImageInput(height=side, width=side, channels=1, scale=1 / 255)
    content = png_that_inflates(200, side)
    began = time.thread_time()
    assert Decoder(1_000_000, 10, WaitingBytes(100_000_000)).at_once(content, wanted) is None
    assert time.thread_time() - began < 0.05  # of processor time; all of it takes 0.2 s


def test_what_exif_data_say_wrongly_leaves_no_warnings() -> None:
    assert is_the_models(at_once(png_of_exif_tags()))  # a warning would fail the test


def test_what_is_wrong_with_an_image_is_passed_on() -> None:
    for content, error in ((b"", EmptyImage), (b"text", UnknownFormat), (b"text" * 100_000, UnknownFormat)):
        with pytest.raises(error):
            at_once(content)
    with pytest.raises(TooManyPixels):
        decoded(encoded(NOISE), 1000)
    with pytest.raises(BrokenImage):
        decoded(encoded(NOISE)[:-5000], 100_000)
