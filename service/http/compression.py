"""Unpacks bodies of gzip or deflate within bounds, and packs answers. Knows nothing of what is in them."""

import zlib

from service.errors import BodyTooLarge, MalformedRequest, UnsupportedEncoding
from service.http.negotiation import choose_media_type

# In zlib's numbers: a window of 15 bits, and 16 more for gzip's frame. `deflate` is zlib's frame (RFC 9110, 8.4.1.2).
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15
_PLAIN = "identity"


def unpack(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body that was packed as the header Content-Encoding, `encoding`, says; at most `max_bytes`.

    Raises UnsupportedEncoding for another encoding, MalformedRequest for what cannot be unpacked, and BodyTooLarge,
    before any more is unpacked, past `max_bytes`.
    """
    encoding = encoding.strip().lower().removeprefix("x-") or _PLAIN  # x-gzip is gzip's old name
    if encoding == _PLAIN:
        return body
    if encoding not in _WINDOW_BITS:
        raise UnsupportedEncoding(
            f"the body's Content-Encoding is {encoding!r:.80}; send it as gzip, as deflate, or without", _WINDOW_BITS
        )
    window_bits = _WINDOW_BITS[encoding]
    if encoding == "deflate" and not _has_zlib_frame(body):
        window_bits = _RAW_DEFLATE  # as .NET's DeflateStream writes it
    unpacker = zlib.decompressobj(window_bits)
    try:
        content = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise MalformedRequest(f"the body is declared as {encoding} and cannot be unpacked: {error}") from error
    if len(content) > max_bytes:
        raise BodyTooLarge(f"the body is, once unpacked, larger than the {max_bytes:,} bytes that are read")
    if not unpacker.eof or unpacker.unused_data:
        fault = "other bytes follow its end" if unpacker.eof else "it is cut short"
        raise MalformedRequest(f"the body is declared as {encoding} and cannot be unpacked: {fault}")
    return content


def _has_zlib_frame(body: bytes) -> bool:
    head = int.from_bytes(body[:2])
    return head >> 8 & 15 == zlib.DEFLATED and head % 31 == 0  # RFC 1950, 2.2


def pack(content: bytes, accepted: str) -> tuple[bytes, dict[str, str]]:
    """`content` as the header Accept-Encoding, `accepted`, asks for it, and the headers that say so."""
    encoding = choose_media_type(accepted, (_PLAIN, *_WINDOW_BITS))  # the rules are the same for both headers
    headers = {"Vary": "Accept-Encoding"}
    if encoding == _PLAIN:
        return content, headers
    packer = zlib.compressobj(wbits=_WINDOW_BITS[encoding])
    return packer.compress(content) + packer.flush(), {**headers, "Content-Encoding": encoding}
