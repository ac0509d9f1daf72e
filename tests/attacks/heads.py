"""Raw requests whose heads, addresses, trailers and chunks go on for as long as somebody reads them.

Without a bound each of these is held in memory as it comes, three times over; a header whose value comes in pieces
costs time by the square of its size.
"""

from tests.samples import ANKLE_BOOT

_REQUEST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


def many_headers(size: int = 50_000_000) -> bytes:
    """A head of so many bytes in headers of 50. 89 MB of them: 2.7 GB."""
    return _REQUEST + b"".join(b"X-%08d: %b\r\n" % (number, b"v" * 36) for number in range(size // 50)) + b"\r\n"


def long_header(size: int = 10_000_000) -> bytes:
    """One header of so many bytes, which the parser joins piece by piece."""
    return _REQUEST + b"X-Long: " + b"v" * size + b"\r\n\r\n"


def long_address(size: int = 10_000_000) -> bytes:
    """An address of so many bytes, joined likewise."""
    return b"GET /" + b"a" * size + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def long_accept(size: int = 5_000_000) -> bytes:
    """An Accept header of so many bytes, each part of which is looked at for each type that can be sent: seconds."""
    return b"GET /plot HTTP/1.1\r\nHost: x\r\nAccept: " + b"a/b;q=0.5," * (size // 10) + b"\r\n\r\n"


def many_trailers(size: int = 50_000_000) -> bytes:
    """A whole request in chunks, with so many bytes of trailers behind it."""
    image = ANKLE_BOOT.read_bytes()
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(image), image)
    trailers = b"".join(b"X-%08d: %b\r\n" % (number, b"v" * 36) for number in range(size // 50))
    return _REQUEST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + trailers + b"\r\n"


def long_chunk_extension(size: int = 50_000_000) -> bytes:
    """A chunk of one byte with an extension of so many."""
    return _REQUEST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"e" * size + b"\r\na\r\n0\r\n\r\n"


ALL = (many_headers, long_header, long_address, long_accept, many_trailers, long_chunk_extension)
