"""Base64 is read however programs write it, and what is not base64 is told, never read as something else."""

import base64
import re
import tracemalloc

import pytest

from service.errors import MalformedRequest
from service.http.base64_text import decode_base64

CONTENT = bytes(range(256)) + b"\xfb\xff"
TEXT = base64.b64encode(CONTENT).decode()
LINES = base64.encodebytes(CONTENT).decode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("="),
        base64.urlsafe_b64encode(CONTENT).decode(),
        base64.urlsafe_b64encode(CONTENT).decode().rstrip("="),
        LINES,
        LINES.replace("\n", "\r\n"),
        LINES.replace("\n", " "),
        f"  {TEXT}\n",
        f"data:image/png;base64,{TEXT}",
        f"data:image/svg+xml;charset=utf-8;BASE64,{TEXT}",
    ],
    ids=range(10),
)
def test_each_way_to_write_it_gives_the_same(text: str) -> None:
    assert decode_base64(text, "image") == CONTENT


@pytest.mark.parametrize("length", range(6))
def test_every_length_is_kept(length: int) -> None:
    content = CONTENT[:length]
    assert decode_base64(base64.b64encode(content).decode(), "image") == content
    assert decode_base64(base64.b64encode(content).decode().rstrip("="), "image") == content


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("https://example.com/cat.jpg", "image is an address, 'https://example.com/cat.jpg', and the service fetches"),
        ("/home/me/cat.jpg", "it has '.' in it; it begins with '/home/me/cat.jpg'"),
        (f"data:image/png,{TEXT}", "it has ':' in it"),
        ("QUJDRA==QUJD", "it has '=' in it"),
        ("QUJDR", "5 letters, one too many or too few"),
        ("QUJD§", "it has '§' in it"),
        ("data:x;base64,§", "it has '§' in it"),
        ("QUJD\ud800", r"it has '\ud800' in it"),
        ("\x1b[31m", r"begins with '\x1b[31m'"),
        # What a form made of each +.
        (TEXT.replace("+", " "), "spaces in it, as where each + became one"),
        ("AAAAAAAA AAAAAAA", "spaces in it"),
        ("AAAA AAA AAAA", "spaces in it"),
    ],
)
def test_what_is_no_base64_is_told(text: str, part: str) -> None:
    with pytest.raises(MalformedRequest, match=re.escape(part)) as told:
        decode_base64(text, "image")
    assert len(str(told.value)) < 200


@pytest.mark.parametrize(
    "text", ["AA " * 400_000, "AAAA\n" * 240_000, "A" * 1_200_000, " " * 1_200_000, "=" * 1_200_000]
)
def test_it_takes_a_few_times_the_memory_of_the_text(text: str) -> None:
    tracemalloc.start()
    decode_base64(text, "image")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * len(text)
