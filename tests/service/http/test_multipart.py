"""A form is read as RFC 7578 has it, and whatever else arrives is told, at no more cost than a form has."""

import re

import pytest

from service.errors import MalformedRequest
from service.http.multipart import Part, read_form
from tests.attacks import bodies as attacks

HEAD = b'Content-Disposition: form-data; name="file"; filename="a.png"'


def read(body: bytes, content_type: str = attacks.FORM_TYPE) -> list[Part]:
    return read_form(content_type, body, 3)


def form(*parts: bytes) -> bytes:
    return b"".join(b"--boundary\r\n" + part + b"\r\n" for part in parts) + b"--boundary--\r\n"


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"x\r\n--bound\r\n--", b"\r\n\r\n--\r", b"boundary", bytes(range(256))]
)
def test_content_is_kept_to_the_byte(content: bytes) -> None:
    assert read(form(HEAD + b"\r\n\r\n" + content)) == [Part("file", "a.png", content)]


def test_fields_and_files_come_in_order() -> None:
    body = form(HEAD + b"\r\nContent-Type: image/png\r\n\r\n1", b'content-disposition: form-data; name="n"\r\n\r\n2')
    assert read(body) == [Part("file", "a.png", b"1", "image/png"), Part("n", None, b"2")]


def test_what_stands_before_and_behind_the_form_is_left_alone() -> None:
    body = form(HEAD + b"\r\n\r\n1")
    for whole in (
        b"\r\n" + body,
        b"words\r\n" + body,
        body + b"--boundary\r\n words",
        body.replace(b"y\r\n", b"y \t\r\n", 1),
    ):
        assert read(whole) == [Part("file", "a.png", b"1")]


def test_a_part_without_headers_has_no_name() -> None:
    assert read(form(b"\r\n1")) == [Part("", None, b"1")]
    assert read(form(b"X: y\r\n\r\n1")) == [Part("", None, b"1")]


def test_a_form_without_parts_has_none() -> None:
    assert read(form()) == []


def test_names_are_utf8_and_may_be_quoted() -> None:
    head = 'Content-Disposition: form-data; name="fi;le"; filename="schön\\"e;.png"'.encode()
    assert read(form(head + b"\r\n\r\n1")) == [Part("fi;le", 'schön"e;.png', b"1")]


@pytest.mark.parametrize(
    ("given", "filename"),
    [
        ("filename*=UTF-8''caf%C3%A9.png", "café.png"),
        ("filename*=\"utf-8'en'caf%C3%A9.png\"", "café.png"),
        # As .NET writes both; the extended one is the right one (RFC 6266).
        ("filename=\"=?utf-8?B?Y2Fmw6kucG5n?=\"; filename*=utf-8''caf%C3%A9.png", "café.png"),
        ('filename="a*=b.png"', "a*=b.png"),
        ("filename*0=a; filename*1=b", None),
    ],
)
def test_a_filename_may_be_of_the_extended_form(given: str, filename: str | None) -> None:
    body = form(f"Content-Disposition: form-data; name=file; {given}\r\n\r\n1".encode())
    assert read(body) == [Part("file", filename, b"1")]


@pytest.mark.parametrize(
    ("content_type", "part"),
    [
        ("multipart/form-data", "names no boundary"),
        ("multipart/form-data; boundary=", "names no boundary"),
        ("multipart/form-data; boundary*=utf-8''boundary", "names no boundary"),
        (f"multipart/form-data; boundary={'x' * 300}", "has 300 bytes, expected at most 256"),
        ("multipart/form-data; boundary=other", "'--other', is not in the body"),
        ("multipart/form-data; boundary=\xff", "is not in the body"),
        ("multipart/form-data" + ";" * 30_000, "30,000 semicolons, expected at most 100"),
    ],
    ids=lambda value: value[:50],
)
def test_a_content_type_that_describes_no_form_is_told(content_type: str, part: str) -> None:
    with pytest.raises(MalformedRequest, match=re.escape(part)):
        read(form(HEAD + b"\r\n\r\n1"), content_type)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "is not in the body"),
        (b"--boundary", "b'' follows the boundary at byte 10"),
        (b"--boundary\r\n", "cut short"),
        (b"--boundary\r\n" + HEAD, "cut short"),
        (attacks.PART + b"1", "cut short"),
        (attacks.PART + b"1\r\n--boundary", "follows the boundary"),
        (attacks.near_boundaries(1_000_000), "follows the boundary at byte 89"),
        (attacks.padded_boundary(1_000_000), "expected the end of the line"),
        (attacks.many_parts(1_000_000), "more than the 3 parts"),
        (attacks.many_semicolons(1), "4,000 semicolons"),
        (b"--boundary\r\n" + b"a: b\r\n" * 100_000, "8,192 bytes of headers"),
        (b"--boundary\r\na: " + b"b" * 1_000_000, "8,192 bytes of headers"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_form_is_told(body: bytes, part: str) -> None:
    with pytest.raises(MalformedRequest, match=re.escape(part)) as told:
        read(body)
    assert len(str(told.value)) < 300
