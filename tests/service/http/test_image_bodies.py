"""A body is read as what it is, however it was declared; what holds no image is told in words that help."""

import base64
import json
import re
from typing import Any

import pytest
from PIL import Image

from models.image_formats import FORMATS
from service.errors import MalformedRequest, ServiceError, UnsupportedMediaType
from service.http.image_bodies import SentImages, UploadedFile, image_in, images_in, one_or_more_in
from tests.attacks import bodies as attacks
from tests.samples import encoded

PICTURE = Image.new("RGB", (40, 30), (200, 30, 90))
PNG = encoded(PICTURE)
TEXT = base64.b64encode(PNG).decode()
URLENCODED = "application/x-www-form-urlencoded"
FORM = attacks.FORM_TYPE


def form(*parts: str, content: bytes = PNG) -> bytes:
    """Parts of these parameters and headers, all with the same content."""
    heads = (f"--boundary\r\nContent-Disposition: form-data; {part}\r\n\r\n".encode() for part in parts)
    return b"\r\n".join(head + content for head in heads) + attacks.FORM_END


@pytest.mark.parametrize(
    "declared", ["", URLENCODED, "application/octet-stream", "text/plain", "image/png", "image/jpg"]
)
@pytest.mark.parametrize("kind", sorted(set(FORMATS) & {"PNG", "JPEG", "GIF", "BMP", "WEBP", "AVIF"}))
def test_an_image_is_one_whatever_it_is_declared_to_be(declared: str, kind: str) -> None:
    content = encoded(PICTURE, kind)
    assert image_in(content, declared) == content


@pytest.mark.parametrize("declared", ["multipart/form-data", "multipart/form-data; boundary=x", "application/json"])
def test_an_image_is_one_even_where_something_else_was_promised(declared: str) -> None:
    assert image_in(PNG, declared) == PNG


@pytest.mark.parametrize(
    "part",
    [
        'name="file"; filename="cat.png"',
        "name=file; filename*=UTF-8''caf%C3%A9.png",
        'name="image"; filename="blob"',
        'name="file[]"; filename="cat.png"',
        'filename="cat.png"',
        'name="file"\r\nContent-Type: image/png',
        'name="file"\r\nContent-Type: application/octet-stream',
        'name="photo"',
    ],
)
def test_the_only_file_of_a_form_is_the_image_however_it_is_named(part: str) -> None:
    assert image_in(form(part), FORM) == PNG


def test_the_file_that_is_named_as_documented_is_taken_before_others() -> None:
    body = form('name="mask"; filename="b.png"', content=b"other")
    both = form('name="file"; filename="a.png"').removesuffix(attacks.FORM_END) + b"\r\n" + body
    assert image_in(both, FORM) == PNG


def test_a_text_that_begins_as_an_image_does_is_no_file() -> None:
    text = form('name="brand"', content=b"BMW").removesuffix(attacks.FORM_END) + b"\r\n"
    assert image_in(text + form('name="photo"'), FORM) == PNG


@pytest.mark.parametrize(
    "text",
    [TEXT, f"data:image/png;base64,{TEXT}", base64.encodebytes(PNG).decode(), {"b64": TEXT}],
    ids=["base64", "data URL", "lines", "object"],
)
def test_json_holds_an_image_as_base64(text: Any) -> None:
    body = json.dumps({"image": text}).encode()
    assert image_in(body, "application/json; charset=utf-8") == PNG
    assert image_in(b"\xef\xbb\xbf\n" + body, URLENCODED) == PNG
    assert images_in(json.dumps({"images": [text, TEXT]}).encode(), "", 2) == [
        UploadedFile("images[0]", PNG),
        UploadedFile("images[1]", PNG),
    ]


def test_json_of_tensorflow_servings_kind_holds_an_image() -> None:
    assert image_in(json.dumps({"b64": TEXT}).encode(), "") == PNG


def test_a_shell_writes_lines_of_base64_into_json_as_they_are() -> None:
    for end in ("\n", "\r\n"):
        lines = base64.encodebytes(PNG).decode().replace("\n", end)
        assert image_in(f'{{"image": "{lines}"}}'.encode(), URLENCODED) == PNG


@pytest.mark.parametrize(
    ("body", "declared", "part"),
    [
        (PNG.translate(None, b"\r\n\0"), URLENCODED, "lost line ends and zero bytes on its way; curl's -d @FILE"),
        (b"RIFF\xd8\x0b" + b"\xee" * 500, "image/webp", "lost line ends and zero bytes"),
        (b"cat.jpg", URLENCODED, "begins with 'cat.jpg', and looks like the name of a file"),
        (b"@C:\\My Pictures\\cat.jpg\r\n", "text/plain", "looks like the name of a file"),
        (b"image=" + TEXT.encode(), URLENCODED, "looks like fields of a form without a file"),
        (TEXT.encode(), "text/plain", 'looks like base64 text; send it as JSON, {"image"'),
        (b"data:image/png;base64,AAAA", "image/png", "looks like base64 text"),
        (b'"/9j/4AAQSkZJRg=="', "text/plain", "looks like base64 text"),
        (b"https://example.com/cat.jpg", "text/plain", "an address, and the service fetches nothing"),
        (form('name="file"'), "application/octet-stream", "looks like a multipart form; its Content-Type must be"),
        (attacks.packed(PNG), "image/png", "looks like gzip; say so in a header"),
        ("ÿcat".encode("utf-16"), "text/plain", "begins with the mark of UTF-16 text"),
        (b"\x01\x02\xfe" * 100, "", r"declared as nothing and begins with b'\x01\x02\xfe"),
        (b"\x1b[31m hello", "text/\x1b[31m", r"declared as text/\x1b[31m and begins with '\x1b[31m hello'"),
        ("고양이 ".encode() * 100, "text/plain", "begins with '고양이 "),
        (b"hello", "image/png", "PNG, JPEG"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_image_is_told_by_its_first_bytes(body: bytes, declared: str, part: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=re.escape(part)) as told:
        image_in(body, declared)
    assert len(str(told.value)) < 500
    assert str(told.value).isprintable()


def test_an_image_that_curl_changed_is_told_although_it_begins_as_one() -> None:
    with pytest.raises(MalformedRequest, match="curl's -d @FILE removes"):
        image_in(encoded(PICTURE, "JPEG").translate(None, b"\r\n\0"), URLENCODED)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ([TEXT], "the body is JSON, a list; send the image as the body"),
        ({}, "the JSON has nothing, expected 'image' alone"),
        ({"file": TEXT}, "the JSON has 'file', expected 'image' alone; send"),
        ({"image": TEXT, "top_k": 1}, "parameters go into the address, as ?top_k=3"),
        ({"image": [[0, 1]]}, "'image' is a list, expected base64 text; numbers are read at /v1/models"),
        ({"image": {"b64": None}}, "'image': 'b64' is null"),
        ({"image": "https://example.com/cat.png"}, "'image' is an address"),
        ({"image": "cat.png"}, "'image' cannot be decoded as base64: it has '.' in it"),
        ({"x" * 5000: 1}, "expected 'image' alone"),
    ],
    ids=str,
)
def test_json_without_an_image_is_told(given: Any, part: str) -> None:
    with pytest.raises(MalformedRequest, match=re.escape(part)) as told:
        image_in(json.dumps(given).encode(), "application/json")
    assert len(str(told.value)) < 500


@pytest.mark.parametrize(
    ("body", "declared", "error", "part"),
    [
        (b"", "", MalformedRequest, "the request has no image: its body has 0 bytes"),
        (b"", "multipart/form-data; boundary=x", MalformedRequest, "has no image"),
        (b"x", "multipart/form-data", MalformedRequest, "names no boundary; leave that header to the program"),
        (b"cat.jpg", "application/json", MalformedRequest, "JSON cannot be read"),
        (
            '{"image": "AAAA"}'.encode("utf-16"),
            "application/json",
            MalformedRequest,
            "UTF-16 or the like, expected UTF-8",
        ),
        ('{"image": "AAAA"}'.encode("utf-16-le"), "", MalformedRequest, "UTF-16 or the like, expected UTF-8"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_breaks_its_promise_is_told(
    body: bytes, declared: str, error: type[ServiceError], part: str
) -> None:
    with pytest.raises(error, match=re.escape(part)):
        image_in(body, declared)


@pytest.mark.parametrize("name", ["files", "files[]", "image"])
def test_a_batch_is_the_files_of_a_form_in_order(name: str) -> None:
    body = form(f'name="{name}"; filename="a.png"', f'name="{name}"; filename="b.png"')
    assert [file.name for file in images_in(body, FORM, 3)] == ["a.png", "b.png"]


def test_a_batch_may_number_its_fields_and_leave_filenames_away() -> None:
    body = form('name="files[0]"', 'name="files[1]"')
    assert images_in(body, FORM, 2) == [UploadedFile("files[0]", PNG), UploadedFile("files[1]", PNG)]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (PNG, "", SentImages([UploadedFile("body", PNG)], listed=False)),
        (PNG, "application/json", SentImages([UploadedFile("body", PNG)], listed=False)),
        (PNG, FORM, SentImages([UploadedFile("body", PNG)], listed=False)),
        (form('name="file"; filename="a"'), FORM, SentImages([UploadedFile("a", PNG)], listed=False)),
        (form('name="files"; filename="a"'), FORM, SentImages([UploadedFile("a", PNG)], listed=True)),
        (form('name="files[0]"'), FORM, SentImages([UploadedFile("files[0]", PNG)], listed=True)),
        (form('name="a"', 'name="b"'), FORM, SentImages([UploadedFile("a", PNG), UploadedFile("b", PNG)], listed=True)),
        (json.dumps({"image": TEXT}).encode(), "", SentImages([UploadedFile("image", PNG)], listed=False)),
        (json.dumps({"images": [TEXT]}).encode(), "", SentImages([UploadedFile("images[0]", PNG)], listed=True)),
    ],
)
def test_one_or_more_are_taken_in_either_way(body: bytes, content_type: str, expected: SentImages) -> None:
    assert one_or_more_in(body, content_type, 3) == expected
