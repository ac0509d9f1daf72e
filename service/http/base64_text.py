"""Base64 text → bytes, in every form in which programs write it. Knows nothing of what is in them."""

import base64
import re

from service.errors import MalformedRequest

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_LINE_ENDS = b"\t\n\v\f\r"
_DATA_URL = re.compile(r"\s*data:[^,]{0,200};base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*(https?|ftp|file|s3|gs|blob):", re.IGNORECASE)
_STRANGE = re.compile(rb"[^A-Za-z0-9+/]")


def decode_base64(text: str, where: str) -> bytes:
    """What `text`, which stands at `where` in a request, encodes.

    It may be of the usual or of the URL-safe alphabet (RFC 4648), in lines of any length, without its padding, or in a
    data URL. Raises MalformedRequest for all else.
    """
    if _ADDRESS.match(text):
        raise MalformedRequest(
            f"{where} is an address, {text[:40]!r}, and the service fetches nothing; send the image itself, as base64"
        )
    data_url = _DATA_URL.match(text)
    try:
        packed = text[data_url.end() if data_url else 0 :].encode("ascii")
    except UnicodeEncodeError as error:
        raise _refused(text, where, f"it has {error.object[error.start]!r} in it") from error
    packed = packed.translate(_URL_SAFE, _LINE_ENDS).strip(b" ")
    width = packed.find(b" ") + 1
    if width:
        # Spaces may be the ends of equal lines of a whole text. All others were a + before something read a form.
        even = packed[width - 1 :: width] == b" " * packed.count(b" ")
        packed = packed.replace(b" ", b"")
        if not even or len(packed) % 4:
            raise _refused(text, where, "it has spaces in it, as where each + became one; encode it in one line")
    packed = packed.rstrip(b"=")
    if len(packed) % 4 == 1:
        raise _refused(text, where, f"it has {len(packed):,} letters, one too many or too few; it may be cut short")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except ValueError as error:
        strange = _STRANGE.search(packed)
        raise _refused(text, where, f"it has {strange[0].decode()!r} in it" if strange else str(error)) from error


def _refused(text: str, where: str, why: str) -> MalformedRequest:
    return MalformedRequest(f"{where} cannot be decoded as base64: {why}; it begins with {text[:20]!r}")
