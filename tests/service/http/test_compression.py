"""Bodies are unpacked as they are declared, never past the limit, and what cannot be unpacked is told."""

import gzip
import zlib

import pytest

from service.errors import BodyTooLarge, MalformedRequest, UnsupportedEncoding
from service.http.compression import pack, unpack
from service.http.problems import headers_of, status_of

CONTENT = b"a body that repeats itself " * 40
GZIPPED = gzip.compress(CONTENT, mtime=0)  # the time would be in the names of tests


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", CONTENT),
        ("identity", CONTENT),
        ("gzip", GZIPPED),
        (" GZip ", GZIPPED),
        ("x-gzip", GZIPPED),
        ("deflate", zlib.compress(CONTENT)),
        ("deflate", zlib.compress(CONTENT, wbits=9)),
        ("deflate", raw_deflate(CONTENT)),
    ],
)
def test_each_encoding_is_unpacked(encoding: str, packed: bytes) -> None:
    assert unpack(packed, encoding, len(CONTENT)) == CONTENT


@pytest.mark.parametrize("packed", [GZIPPED, gzip.compress(bytes(10_000_000))], ids=["small", "bomb"])
def test_no_more_is_unpacked_than_may_be(packed: bytes) -> None:
    with pytest.raises(BodyTooLarge, match="once unpacked, larger than the 100 bytes"):
        unpack(packed, "gzip", 100)


@pytest.mark.parametrize(
    ("packed", "encoding", "part"),
    [
        (CONTENT, "gzip", "declared as gzip and cannot be unpacked"),
        (CONTENT, "deflate", "declared as deflate and cannot be unpacked"),
        (b"", "deflate", "cut short"),
        (GZIPPED[:-1], "gzip", "cut short"),
        (GZIPPED + b"x", "gzip", "other bytes follow"),
    ],
)
def test_what_cannot_be_unpacked_is_told(packed: bytes, encoding: str, part: str) -> None:
    with pytest.raises(MalformedRequest, match=part):
        unpack(packed, encoding, 10_000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "\x1b" * 500])
def test_an_encoding_that_is_not_read_is_told_with_those_that_are(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding, match="send it as gzip, as deflate, or without") as told:
        unpack(b"", encoding, 100)
    assert len(str(told.value)) < 200
    assert status_of(told.value) == 415
    assert headers_of(told.value) == {"Accept-Encoding": "gzip, deflate"}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", ""])
def test_what_is_packed_is_unpacked_to_the_same(encoding: str) -> None:
    packed, headers = pack(CONTENT, encoding)
    assert headers["Vary"] == "Accept-Encoding"
    assert unpack(packed, headers.get("Content-Encoding", ""), len(CONTENT)) == CONTENT
