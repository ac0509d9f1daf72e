"""Damaged images of every format: only the documented errors may come out. `make fuzz` looks for longer."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.card import ImageInput
from models.decoding import open_image
from models.image_errors import ImageError
from models.image_formats import FORMATS
from models.preprocessing import plain_pixels, prepared_pixels
from tests.attacks.pictures import heic_of_tiles
from tests.samples import ANKLE_BOOT, encoded, pixels_of

MAX_PIXELS = 100_000
WANTED = [
    ImageInput(height=28, width=28, channels=1, scale=1 / 255, preparation="product-photo"),
    ImageInput(height=28, width=28, channels=3, scale=1 / 255),
]


def whole_images(form: str) -> list[bytes]:
    """Real images in several modes, with what formats carry beside pixels."""
    boot = Image.fromarray(pixels_of(ANKLE_BOOT))
    photo = Image.fromarray(255 - pixels_of(ANKLE_BOOT)).resize((120, 90)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    extras = {"exif": exif} if form in {"PNG", "JPEG", "WEBP", "AVIF", "HEIF"} else {}
    images = [encoded(boot, form), encoded(photo, form, **extras)]
    if form in {"PNG", "WEBP", "GIF"}:
        images.append(encoded(photo.convert("P"), form))
        images.append(encoded(photo.convert("RGBA"), form))
        images.append(encoded(photo, form, save_all=True, append_images=[photo.rotate(90)]))
    if form == "HEIF":
        images.append(encoded(photo.convert("RGBA"), form, save_all=True, append_images=[photo.rotate(90)]))
        images.append(heic_of_tiles(2, 3, exif=True))
    if form == "TIFF":
        images += [encoded(photo, form, compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
        images.append(encoded(Image.fromarray(np.full((40, 50), 40_000, np.uint16)), form))
        images.append(encoded(photo.convert("RGBA"), form))
    if form == "PNG":
        images.append(encoded(Image.fromarray(np.full((40, 50), 40_000, np.uint16)), form))
        images.append(encoded(boot.convert("1"), form))
    if form == "JPEG":
        images.append(encoded(photo.convert("CMYK"), form))
        images.append(encoded(photo, form, progressive=True))
    return images


IMAGES = {form: whole_images(form) for form in FORMATS}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(draw(st.sampled_from(list(IMAGES.values()))))))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(content) - 1)) if content else 0
        match draw(st.sampled_from(["flip", "set", "cut", "drop", "double", "insert"])):
            case "flip" if content:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "set" if content:
                content[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
            case "cut":
                del content[place:]
            case "drop":
                del content[place : place + draw(st.integers(1, 64))]
            case "double":
                content[place:place] = content[place : place + draw(st.integers(1, 64))]
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=16))
    return bytes(content)


@given(content=damaged(), wanted=st.sampled_from(WANTED))
def test_a_damaged_image_gives_a_result_or_a_documented_error(content: bytes, wanted: ImageInput) -> None:
    plain = plain_pixels(content, wanted)
    try:
        pixels = prepared_pixels(open_image(content, MAX_PIXELS), wanted)
    except ImageError:
        assert plain is None  # what the strict decoder refuses, the fast one does not take either
        return
    assert pixels.shape == (wanted.height, wanted.width, wanted.channels)
    assert pixels.dtype == np.uint8
    assert plain is None or np.array_equal(plain, pixels)


@given(content=st.binary(max_size=300), form=st.sampled_from(FORMATS))
def test_nonsense_behind_a_formats_first_bytes_gives_a_documented_error_at_most(content: bytes, form: str) -> None:
    with contextlib.suppress(ImageError):
        prepared_pixels(open_image(IMAGES[form][0][:16] + content, MAX_PIXELS), WANTED[0])


@pytest.mark.parametrize("form", FORMATS)
def test_a_image_cut_at_any_byte_gives_a_result_or_a_documented_error(form: str) -> None:
    content = IMAGES[form][0]
    for length in range(len(content)):
        try:
            prepared_pixels(open_image(content[:length], MAX_PIXELS), WANTED[0])
        except ImageError:
            continue


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_pictures_of_odd_shapes_give_a_result(form: str, size: tuple[int, int]) -> None:
    if form == "HEIF":
        size = (min(max(size[0], 16), 4096), min(max(size[1], 16), 4096))  # as narrow and long as the encoder writes
    for wanted in WANTED:
        pixels = prepared_pixels(open_image(encoded(Image.new("RGB", size, (200, 30, 30)), form), MAX_PIXELS), wanted)
        assert pixels.shape == (28, 28, wanted.channels)
