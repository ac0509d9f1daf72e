"""JPEGs larger than what is decoded, and those that lack their end."""

import re

import numpy as np
import pytest
from PIL import Image

from models.decoding import open_image, scanned, upright
from models.image_errors import BrokenImage, TooComplex, TooManyPixels
from tests.attacks import pictures
from tests.samples import encoded

# Smooth enough to look alike at any scale.
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)).resize((640, 480))
LIMIT = 640 * 480
END = b"\xff\xd9"


def seen(content: bytes, limit: int = LIMIT, enough: int = 10_000) -> Image.Image:
    return upright(open_image(content, limit), enough)


def difference(image: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(image, int) - np.asarray(other, int)).mean())


@pytest.mark.parametrize(
    ("times", "scale", "progressive"),
    [(1, 1, False), (2, 2, False), (4, 2, False), (8, 4, False), (1, 1, True), (2, 2, True), (5, 4, True)],
)
def test_a_jpeg_above_the_limit_is_decoded_at_a_reduced_scale(times: int, scale: int, progressive: bool) -> None:
    content = encoded(PHOTO, "JPEG", quality=95, progressive=progressive)
    image = seen(content, LIMIT // times)
    assert image.size == (640 // scale, 480 // scale)
    assert difference(image, PHOTO.reduce(scale)) < 3


def test_one_of_more_than_eight_times_the_limit_is_refused() -> None:
    with pytest.raises(TooManyPixels, match="640 × 480 pixels, and at most 307,192 of a JPEG are read"):
        seen(encoded(PHOTO, "JPEG"), LIMIT // 8 - 1)
    with pytest.raises(TooManyPixels, match=r"at most 200,000 of a PNG are read; .* or a JPEG of up to 1,600,000"):
        seen(encoded(PHOTO), 200_000)


def test_a_narrow_one_above_the_limit_is_reduced_along_both_edges() -> None:
    assert seen(encoded(PHOTO.resize((4000, 100)), "JPEG"), 100_000).size == (2000, 50)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_one_is_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(PHOTO, "JPEG", exif=exif, quality=95)
    assert difference(seen(content, LIMIT // 4), seen(content).reduce(2)) < 3


def test_what_a_progressive_one_keeps_until_its_last_scan_is_bounded() -> None:
    for subsampling, a_pixel in ((0, 6), (2, 3)):
        content = encoded(PHOTO, "JPEG", progressive=True, subsampling=subsampling)
        assert scanned(content).coefficient_bytes == a_pixel * LIMIT
        assert scanned(encoded(PHOTO, "JPEG", subsampling=subsampling)).coefficient_bytes == 0
    with pytest.raises(TooComplex, match="progressive, and too large to be decoded as one"):
        seen(pictures.jpeg_of_many_pixels(8000, 6000), 6_000_000)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 7}])
def test_one_that_lacks_only_its_end_marker_is_whole(mode: str, options: dict[str, int]) -> None:
    content = encoded(PHOTO.convert(mode), "JPEG", **options)
    assert content.endswith(END)
    for shortened in (content[:-1], content[:-2]):
        assert difference(seen(shortened), seen(content)) == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("limit", [LIMIT, LIMIT // 4])
def test_of_one_that_lacks_its_last_rows_the_others_are_shown(mode: str, limit: int) -> None:
    content = encoded(PHOTO.convert(mode), "JPEG", quality=98)
    whole = seen(content, limit)
    shown, refused = 0, 0
    for missing in range(50, len(content) // 2, len(content) // 60):
        try:
            image = seen(content[:-missing], limit)
        except BrokenImage as error:
            assert re.search(r"more than 1/20 of its rows is missing; send all of its bytes", str(error))  # noqa: PT017
            refused += 1
            continue
        assert not refused
        assert image.width == whole.width
        assert whole.height * 0.94 <= image.height <= whole.height
        # The rows at the end borrow colours of those below; one unit of the compression may be damaged.
        above = (0, 0, image.width, image.height - 16)
        assert difference(image.crop(above), whole.crop(above)) < 0.1
        shown += 1
    assert shown
    assert refused


def test_a_progressive_one_may_lack_some_of_its_last_scan_and_no_other() -> None:
    content = encoded(PHOTO, "JPEG", progressive=True, quality=90)
    last = content.rindex(b"\xff\xda")
    assert difference(seen(content[: last + 30]), seen(content)) < 3
    for shortened in (content[:last], content[: last - 100], content[: len(content) // 2]):
        with pytest.raises(BrokenImage, match="it is cut short; send all of its bytes"):
            seen(shortened)


def test_one_whose_colours_come_one_after_the_other_is_refused_where_it_is_cut_short() -> None:
    whole = encoded(PHOTO.convert("L"), "JPEG")
    at = whole.index(b"\xff\xc0")
    # As if there were three components, and the scan of one.
    three = whole[: at + 9] + b"\3\1\x11\0\2\x11\0\3\x11\0" + whole[at + 13 :]
    content = three[: at + 2] + b"\0\x11" + three[at + 4 :]
    with pytest.raises(BrokenImage, match="it is cut short"):
        scanned(content[:-10])


def test_damaged_segments_of_one_that_is_cut_short_make_it_broken() -> None:
    content = encoded(PHOTO, "JPEG", progressive=True)[:-2]
    scan = content.rindex(b"\xff\xda") + 2
    for length in range(2, 8):
        with pytest.raises(BrokenImage):
            scanned(content[:scan] + bytes((0, length)) + content[scan + 2 : scan + length])
    sampling = content.index(b"\xff\xc2") + 11
    scanned(content[:sampling] + b"\0" + content[sampling + 1 :])
