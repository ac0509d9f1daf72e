"""What an image is by its first bytes, and what is said of what is none that is read."""

import io
import zipfile

import pytest

from models.image_errors import UnknownFormat
from models.image_formats import FORMATS, format_of


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("cat.jpg", b"...")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "advice"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL", "save it as JPEG or PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", "save it as JPEG or PNG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", "save it as JPEG or PNG"),
        (b"8BPS\0\1", "a Photoshop file", "export it"),
        (b"%PDF-1.7", "a PDF", "save its page as PNG"),
        (b"\n<svg xmlns='http://www.w3.org/2000/svg'>", "SVG", "save it as PNG"),
        (b"<?xml version='1.0'?>\n<!-- Inkscape -->\n<svg>", "SVG", "save it as PNG"),
        (b"\n<!DOCTYPE HTML>\n<html>", "a page of HTML", "send the image that it shows"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "a video", "send one frame"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video", "send one frame"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's RAW", "send its JPEG"),
        (b"FUJIFILMCCD-RAW 0201", "a camera's RAW", "send its JPEG"),
        (b"II+\0\x08\0\0\0", "a BigTIFF", "as a plain TIFF"),
        (zipped(), "an archive", "unpack it"),
        (b"data:image/png;base64,iVBORw0KGgo=", "the text of a data URL", "send the bytes"),
    ],
)
def test_other_formats_are_named_with_advice(content: bytes, name: str, advice: str) -> None:
    with pytest.raises(
        UnknownFormat, match=f"the content is {name}, not an image in a format that is read here"
    ) as told:
        format_of(content)
    assert advice in str(told.value)
    assert ", ".join(FORMATS) in str(told.value)


def test_all_else_is_no_image() -> None:
    for content in (b"", b"hello, I am a text", b"RIFF\0\0\0\0WAVEfmt ", b"\0\0\0\x18ftyp"[:6], bytes(100)):
        with pytest.raises(UnknownFormat, match="the content is not an image in a format that is read here"):
            format_of(content)


@pytest.mark.parametrize("repeated", [b" ", b"<!--", b"<?xml", b"<!DOCTYPE", b"\0\0\0\x18ftyp"])
def test_no_content_makes_that_long(repeated: bytes) -> None:
    content = repeated * (10_000_000 // len(repeated))
    for begin in (b"", b"<?xml", b"<!--"):
        with pytest.raises(UnknownFormat):
            format_of(begin + content)  # where it went over some of it again for each byte, the test would not end
