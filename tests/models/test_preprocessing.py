"""How images become the model's input."""

import zlib
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

from models.card import ImageInput, Interpolation
from models.decoding import open_image
from models.image_errors import BrokenImage, EmptyImage, TooManyPixels, UnknownFormat
from models.image_formats import FORMATS
from models.pixels import PIXEL_RANGES, PixelRange
from models.preprocessing import fit, plain_pixels, prepared_pixels, resized, scaled
from tests.samples import ANKLE_BOOT, SAMPLE_FILES, encoded, pixels_of

GREY_28 = ImageInput(height=28, width=28, channels=1, scale=1 / 255)
GREY_4 = ImageInput(height=4, width=4, channels=1, scale=1 / 255)
RGB_4 = ImageInput(height=4, width=4, channels=3, scale=1 / 255)
PRODUCT_28 = GREY_28.model_copy(update={"preparation": "product-photo"})
PLENTY = 1_000_000


def seen(content: bytes, wanted: ImageInput) -> np.ndarray:
    return prepared_pixels(open_image(content, PLENTY), wanted)


def test_the_data_sets_own_pixels_go_through_untouched() -> None:
    for file in SAMPLE_FILES:
        assert np.array_equal(seen(file.read_bytes(), GREY_28)[..., 0], pixels_of(file))


def test_for_product_photos_the_data_sets_own_pixels_go_through_untouched() -> None:
    for file in SAMPLE_FILES:
        content = file.read_bytes()
        for pixels in (seen(content, PRODUCT_28), plain_pixels(content, PRODUCT_28)):
            assert pixels is not None
            assert np.array_equal(pixels[..., 0], pixels_of(file))


def test_a_negative_of_the_networks_size_is_a_photo_all_the_same() -> None:
    content = encoded(255 - pixels_of(ANKLE_BOOT))
    assert plain_pixels(content, PRODUCT_28) is None
    assert np.corrcoef(seen(content, PRODUCT_28).ravel(), pixels_of(ANKLE_BOOT).ravel())[0, 1] > 0.95


def test_without_preparation_a_photo_is_only_scaled() -> None:
    content = encoded(255 - pixels_of(ANKLE_BOOT))
    assert np.array_equal(
        prepared_pixels(open_image(content, PLENTY), PRODUCT_28, "none")[..., 0], 255 - pixels_of(ANKLE_BOOT)
    )


def test_a_network_that_takes_colours_gets_a_product_photo_in_grey() -> None:
    wanted = PRODUCT_28.model_copy(update={"channels": 3})
    pixels = seen(encoded(Image.new("RGB", (300, 300), (255, 255, 255))), wanted)
    assert pixels.shape == (28, 28, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_turned_upright_before_it_is_prepared(form: str, orientation: int) -> None:
    upright = np.full((300, 400, 3), 255, np.uint8)
    upright[30:230, 50:150] = 40
    upright[30:60, 50:250] = 40
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = seen(encoded(np.ascontiguousarray(np.rot90(upright, turns)), form, exif=exif), PRODUCT_28)
    assert np.abs(pixels.astype(int) - seen(encoded(upright), PRODUCT_28)).mean() < 6


def test_a_large_photo_is_decoded_at_a_reduced_scale() -> None:
    content = encoded(Image.new("RGB", (4000, 3000), (255, 255, 255)), "JPEG")
    image = open_image(content, 25_000_000)
    prepared_pixels(image, PRODUCT_28)
    assert image.size == (1000, 750)


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP"])
def test_formats_without_loss_keep_every_pixel(form: str) -> None:
    pixels = pixels_of(ANKLE_BOOT)
    assert np.array_equal(seen(encoded(pixels, form), GREY_28)[..., 0], pixels)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_formats_with_loss_come_close(form: str) -> None:
    pixels = pixels_of(ANKLE_BOOT)
    close = seen(encoded(pixels, form, quality=95), GREY_28)[..., 0]
    assert np.abs(close.astype(int) - pixels).mean() < 4


def test_input_is_scaled_to_float32() -> None:
    values = scaled(np.array([[[0], [51], [255]]], np.uint8), GREY_4)
    assert values.dtype == np.float32
    assert values.ravel().tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize(("size", "rows", "columns"), [((8, 4), 2, 4), ((4, 8), 4, 2), ((300, 300), 4, 4)])
def test_another_size_keeps_its_proportions_on_black(size: tuple[int, int], rows: int, columns: int) -> None:
    pixels = seen(encoded(Image.new("L", size, 200)), GREY_4)[..., 0]
    assert (pixels == 200).sum() == rows * columns
    assert (pixels == 0).sum() == 16 - rows * columns


def test_colour_becomes_grey_and_grey_becomes_rgb() -> None:
    assert np.unique(seen(encoded(Image.new("RGB", (4, 4), (255, 0, 0))), GREY_4)).tolist() == [76]
    assert seen(encoded(Image.new("L", (4, 4), 90)), RGB_4).tolist() == [[[90] * 3] * 4] * 4


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    deep = Image.fromarray(np.full((4, 4), 0x8000, np.uint16))
    assert np.unique(seen(encoded(deep), GREY_4)).tolist() == [0x80]


@pytest.mark.parametrize(("largest", "expected"), [(4095, None), (4096, 16), (65_535, 255)])
def test_colours_of_sixteen_bits_are_read_by_their_upper_eight_or_refused(largest: int, expected: int | None) -> None:
    deep = cv2.imencode(".png", np.full((4, 4, 3), largest, np.uint16))[1].tobytes()
    if expected is None:
        with pytest.raises(BrokenImage, match=r"the PNG image has colours of 16 bits and uses at most 12.*scale it"):
            seen(deep, RGB_4)
    else:
        assert np.unique(seen(deep, RGB_4)).tolist() == [expected]


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGBA", (4, 4), (10, 20, 30, 0)),
        Image.new("LA", (4, 4), (10, 0)),
        Image.new("1", (4, 4), 1),
        Image.new("P", (4, 4), 0),
    ],
    ids=lambda image: image.mode,
)
def test_transparent_parts_and_other_modes_come_out_right(image: Image.Image) -> None:
    if image.mode == "P":
        image.putpalette([255, 255, 255])
    assert np.unique(seen(encoded(image), GREY_4)).tolist() == [255]


def test_cmyk_is_read() -> None:
    assert seen(encoded(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG"), GREY_4).min() == 255


def test_a_sideways_photo_is_turned_upright() -> None:
    upright = np.zeros((4, 4), np.uint8)
    upright[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    stored = np.rot90(upright)
    assert np.array_equal(seen(encoded(stored, exif=exif), GREY_4)[..., 0], upright)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("L", (4, 4), value) for value in (40, 250)]
    assert np.unique(seen(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), GREY_4)).tolist() == [40]


def test_no_bytes_are_an_empty_image() -> None:
    with pytest.raises(EmptyImage, match="0 bytes arrived"):
        open_image(b"", PLENTY)


@pytest.mark.parametrize("content", [b"hello, I am a text", b"<svg/>", b"%PDF-1.7", b"RIFF\0\0\0\0WAVEfmt "], ids=repr)
def test_what_is_no_image_is_of_an_unknown_format(content: bytes) -> None:
    with pytest.raises(UnknownFormat, match="PNG, JPEG, GIF, BMP, WEBP, AVIF"):
        open_image(content, PLENTY)


@pytest.mark.parametrize("form", FORMATS)
def test_a_image_cut_short_is_broken(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    whole = encoded(noise, form)
    for length in (20, len(whole) // 2):
        with pytest.raises(BrokenImage, match=f"the {form} image cannot be"):
            seen(whole[:length], GREY_4)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    with pytest.raises(TooManyPixels, match="100 × 101 pixels, and at most 10,000"):
        open_image(encoded(Image.new("L", (100, 101))), 10_000)


def test_a_bomb_past_pillows_own_limit_is_refused() -> None:
    header = bytearray(encoded(Image.new("L", (1, 1)), "BMP"))
    header[18:26] = (40_000).to_bytes(4, "little") * 2
    with pytest.raises(TooManyPixels, match="40,000 × 40,000 pixels, and at most 1,000,000"):
        open_image(bytes(header), PLENTY)


def test_a_plain_png_of_the_networks_own_kind_takes_the_short_way_to_the_same_pixels() -> None:
    for file in SAMPLE_FILES:
        pixels = plain_pixels(file.read_bytes(), GREY_28)
        assert pixels is not None
        assert pixels.dtype == np.uint8
        assert np.array_equal(pixels, seen(file.read_bytes(), GREY_28))
    colours = np.random.default_rng(0).integers(0, 255, (4, 4, 3), np.uint8)
    short = plain_pixels(encoded(colours), RGB_4)
    assert short is not None
    assert np.array_equal(short, colours)


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("L", (5, 4))),
        encoded(Image.new("RGB", (4, 4))),
        encoded(Image.new("P", (4, 4))),
        encoded(Image.fromarray(np.zeros((4, 4), np.uint16))),
        encoded(Image.new("L", (4, 4)), "JPEG"),
        encoded(Image.new("L", (4, 4)), transparency=0),
        encoded(Image.new("L", (4, 4)), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
        encoded(Image.new("L", (4, 4))) + b"more",
        b"",
    ],
    ids=["size", "colour", "palette", "16 bits", "JPEG", "transparency", "EXIF", "trailing bytes", "nothing"],
)
def test_any_other_image_takes_the_long_way(content: bytes) -> None:
    assert plain_pixels(content, GREY_4) is None


def test_the_short_way_takes_nothing_that_the_long_way_refuses() -> None:
    random = np.random.default_rng(0)
    taken = 0
    for file in SAMPLE_FILES:
        whole = file.read_bytes()
        start, end = 41, len(whole) - 16
        for _ in range(10):
            compressed = bytearray(whole[start:end])
            compressed[random.integers(len(compressed))] ^= 1 << random.integers(8)
            checksum = zlib.crc32(b"IDAT" + compressed).to_bytes(4, "big")
            damaged = whole[:start] + bytes(compressed) + checksum + whole[end + 4 :]
            pixels = plain_pixels(damaged, GREY_28)
            if pixels is not None:
                taken += 1
                assert np.array_equal(pixels, seen(damaged, GREY_28))
    assert taken  # some damage does no harm: without any, nothing was compared


def test_what_opencv_fails_at_is_left_to_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise cv2.error("no reason")

    monkeypatch.setattr(cv2, "imdecode", fail)
    assert plain_pixels(SAMPLE_FILES[0].read_bytes(), GREY_28) is None


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Neither square nor smooth, uint8 (300, 401, 3)."""
    rng = np.random.default_rng(3)
    return cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), (401, 300), interpolation=cv2.INTER_CUBIC)


def off_by(ours: np.ndarray, keras_values: Any) -> float:
    """The largest difference; ours is rounded to whole values, which Keras does not do."""
    return float(np.abs(ours.astype(np.float32) - np.asarray(keras_values, np.float32)).max())


@pytest.mark.parametrize("size", [(64, 64), (97, 41), (500, 640)])
def test_an_image_is_fitted_as_keras_does_it_for_a_folder_of_them(photo: np.ndarray, size: tuple[int, int]) -> None:
    keras_size = size[::-1]
    wanted = photo.astype(np.float32)
    resize = keras.ops.image.resize
    stretched = resize(wanted, keras_size)
    assert off_by(fit(photo, size, "stretch", "bilinear")[0], stretched) < 1
    cropped = keras.preprocessing.image.smart_resize(wanted, keras_size)
    assert off_by(fit(photo, size, "crop", "bilinear")[0], cropped) < 1
    padded = resize(wanted, keras_size, pad_to_aspect_ratio=True)
    assert off_by(fit(photo, size, "pad", "bilinear")[0], padded) < 1


@pytest.mark.parametrize(
    ("ours", "pillows"),
    [("nearest", "nearest"), ("antialias", "bilinear"), ("bicubic", "bicubic"), ("lanczos", "lanczos")],
)
def test_an_image_is_resized_as_keras_load_img_does_it(
    photo: np.ndarray, tmp_path: Path, ours: Interpolation, pillows: str
) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    loaded = keras.utils.load_img(tmp_path / "photo.png", target_size=(48, 64), interpolation=pillows)
    assert np.array_equal(resized(photo, (64, 48), ours), np.asarray(loaded))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("bilinear", cv2.INTER_LINEAR),
        ("area", cv2.INTER_AREA),
        ("nearest-opencv", cv2.INTER_NEAREST),
        ("bicubic-opencv", cv2.INTER_CUBIC),
    ],
)
def test_an_image_is_resized_as_opencv_does_it(photo: np.ndarray, ours: Interpolation, theirs: int) -> None:
    assert np.array_equal(resized(photo, (64, 48), ours), cv2.resize(photo, (64, 48), interpolation=theirs))


def test_area_is_the_mean_of_what_a_pixel_covers() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert resized(image, (2, 2), "area").tolist() == [[14, 18], [46, 50]]


@pytest.mark.parametrize("size", [(224, 224), (96, 40)])
def test_an_image_is_cropped_as_teachable_machines_example_does_it(photo: np.ndarray, size: tuple[int, int]) -> None:
    example = ImageOps.fit(Image.fromarray(photo), size, Image.Resampling.LANCZOS)
    assert np.array_equal(fit(photo, size, "crop", "lanczos")[0], np.asarray(example))


def test_the_frame_is_the_part_that_is_shown(photo: np.ndarray) -> None:
    interpolations: tuple[Interpolation, ...] = ("bilinear", "lanczos")
    for interpolation in interpolations:
        left, top, width, height = fit(photo, (64, 64), "crop", interpolation)[1]
        assert (left, top, width, height) == pytest.approx((101 / 802, 0, 300 / 401, 1), abs=0.003)
        left, top, width, height = fit(photo, (64, 64), "pad", interpolation)[1]
        assert (left, top, width, height) == pytest.approx((0, -101 / 600, 1, 401 / 300), abs=0.004)


@pytest.mark.parametrize(
    ("pixels", "module"),
    [
        ("-1..1", "mobilenet_v2"),
        ("caffe", "resnet50"),
        ("caffe", "vgg16"),
        ("torch", "densenet"),
        ("0..255", "efficientnet"),
    ],
)
def test_pixels_are_scaled_as_keras_applications_do_it(photo: np.ndarray, pixels: PixelRange, module: str) -> None:
    scale, offset, order = PIXEL_RANGES[pixels]
    wanted = ImageInput(height=300, width=401, channels=3, scale=scale, offset=offset, channel_order=order or "rgb")
    preprocess = getattr(keras.applications, module).preprocess_input
    assert np.allclose(scaled(photo, wanted), preprocess(photo.astype(np.float32)), atol=1e-4)


def test_an_extremely_narrow_image_is_fitted_all_the_same() -> None:
    for how in ("stretch", "crop", "pad"):
        wanted = RGB_4.model_copy(update={"fit": how, "interpolation": "bilinear"})
        assert seen(encoded(Image.new("L", (60_000, 1), 200)), wanted).shape == (4, 4, 3)
