"""AVIF and HEIC: known by their brands, read as cameras write them, and stripped of all but their picture."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from models.card import ImageInput
from models.decoding import open_image, scanned, upright
from models.image_errors import BrokenImage, ImageError, TooComplex, TooManyPixels
from models.image_formats import format_of
from models.preprocessing import prepared_pixels
from tests.attacks import pictures
from tests.attacks.pictures import heic_of_tiles
from tests.samples import encoded

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)).resize((96, 80))
WANTED = ImageInput(height=28, width=28, channels=3, scale=1 / 255)


def seen(content: bytes) -> Image.Image:
    return upright(open_image(content, 1_000_000), 10_000)


def difference(image: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(image, int) - np.asarray(other, int)).mean())


def branded(content: bytes, major: bytes, *compatible: bytes) -> bytes:
    """With another first box of the same length."""
    length = int.from_bytes(content[:4], "big")
    brands = b"".join(compatible).ljust(length - 16, b"\0")
    assert len(brands) == length - 16
    return content[:8] + major + bytes(4) + brands + content[length:]


@pytest.mark.parametrize(
    ("form", "major", "compatible"),
    [
        ("HEIF", b"heic", b"mif1"),
        ("HEIF", b"heix", b"mif1"),
        ("HEIF", b"mif1", b"heic"),
        ("HEIF", b"msf1", b"hevc"),
        ("HEIF", b"miaf", b"heic"),
        ("AVIF", b"avif", b"mif1"),
        ("AVIF", b"mif1", b"avif"),
        ("AVIF", b"miaf", b"avif"),
    ],
)
def test_a_brand_or_one_that_it_is_compatible_with_tells_the_format(form: str, major: bytes, compatible: bytes) -> None:
    plain = encoded(PHOTO, form)
    content = branded(plain, major, compatible)
    assert format_of(content) == form
    assert difference(seen(content), seen(plain)) == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_heic_of_each_mode_comes_close(mode: str) -> None:
    image = PHOTO.convert(mode)
    if mode == "RGBA":
        image.putalpha(0)
    expected = Image.new("RGB", image.size, (255, 255, 255)) if mode == "RGBA" else image
    assert difference(seen(encoded(image, "HEIF", quality=95)).convert("RGB"), expected.convert("RGB")) < 4


def test_ten_bits_become_eight() -> None:
    for mode, levels in (("RGB;16", (30, 20, 3)), ("L;16", (30, 20))):
        deep = np.full(levels, 0x4000, np.uint16)
        content = io.BytesIO()
        pillow_heif.from_bytes(mode, (20, 30), deep.tobytes()).save(content)
        assert np.abs(np.asarray(seen(content.getvalue()), int) - 0x40).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # The encoder says it by the boxes `irot` and `imir`, and once more in the Exif data.
    turned = seen(encoded(PHOTO, "HEIF", exif=exif.tobytes(), quality=95))
    expected = seen(encoded(PHOTO, "JPEG", exif=exif, quality=95))
    assert turned.size == expected.size
    assert difference(turned, expected) < 6


def test_the_grid_of_a_phone_is_put_together_and_turned_once() -> None:
    tile = seen(heic_of_tiles(1, 1))
    image = seen(heic_of_tiles(2, 3, exif=True))
    assert image.size == (128, 192)
    across = image.transpose(Image.Transpose.ROTATE_90)
    for left in (0, 64, 128):
        assert difference(across.crop((left, 64, left + 64, 128)), tile) < 1


def test_nothing_but_the_picture_is_left_of_a_heic() -> None:
    content = heic_of_tiles(2, 3, exif=True) + struct.pack(">I4s8s", 16, b"moov", b"a film..")
    left = scanned(content).content
    assert len(left) == len(content)
    for gone in (b"thmb", b"auxl", b"cdsc", b"moov"):
        assert gone in content
        assert gone not in left
    assert left.count(b"infe") == 2
    transparent = encoded(PHOTO.convert("RGBA"), "HEIF")
    assert scanned(transparent).content.count(b"auxl") == 1


def test_the_primary_image_is_the_one_of_several() -> None:
    others = [PHOTO.rotate(180), PHOTO.rotate(90)]
    for primary, expected in enumerate([PHOTO, others[0].resize((50, 40))]):
        images = [PHOTO, others[0].resize((50, 40)), others[1]]
        content = encoded(images[0], "HEIF", save_all=True, append_images=images[1:], primary_index=primary)
        assert seen(content).size == expected.size


def test_a_heic_may_have_twice_as_many_pixels() -> None:
    content = heic_of_tiles(2, 3)
    assert open_image(content, 64 * 64 * 3).size == (192, 128)
    with pytest.raises(TooManyPixels, match="192 × 128 pixels, and at most 24,574 of a HEIF are read"):
        open_image(content, 64 * 64 * 3 - 1)


@pytest.mark.parametrize("kind", [b"iden", b"iovl", b"unci", b"av01", b"mski", b"tili"])
def test_a_picture_that_is_not_hevcs_never_reaches_the_decoder(kind: bytes) -> None:
    with pytest.raises(BrokenImage, match=f"picture of the kind '{kind.decode()}'.*save it as JPEG or PNG"):
        scanned(heic_of_tiles(1, 1).replace(b"grid", kind))
    with pytest.raises(BrokenImage, match="picture of the kind"):
        scanned(heic_of_tiles(1, 1).replace(b"hvc1", kind))


def test_a_second_list_of_items_is_none() -> None:
    plain = heic_of_tiles(1, 2)
    at = plain.index(b"iinf") - 4
    box = plain[at : at + int.from_bytes(plain[at : at + 4], "big")]
    other = box.replace(b"hvc1", b"iden")
    meta = plain.index(b"meta") - 4
    size = int.from_bytes(plain[meta : meta + 4], "big") + len(other)
    end = meta + size - len(other)
    content = plain[:meta] + struct.pack(">I", size) + plain[meta + 4 : end] + other + plain[end:]
    assert scanned(content).content.count(b"iinf") == 1


@pytest.mark.parametrize(
    "attack",
    [
        pictures.heic_of_boxes,
        pictures.heic_of_items,
        pictures.heic_of_one_tile,
        pictures.heic_that_is_larger_inside,
    ],
    ids=lambda attack: attack.__name__,
)
def test_a_hostile_heic_is_refused(attack: pictures.Attack) -> None:
    with pytest.raises((TooComplex, BrokenImage)):
        prepared_pixels(open_image(attack(), 25_000_000), WANTED)


def test_a_heic_that_lacks_bytes_is_broken() -> None:
    content = heic_of_tiles(2, 3)
    for missing in (1, 10, 100, len(content) // 2):
        with pytest.raises(ImageError, match="HEIF image cannot be"):
            seen(content[:-missing])
