"""What a body that is no image looks like by its first bytes, in words for an error. Knows no request."""

import codecs
import re

CURL_D = "curl's -d @FILE removes such bytes, --data-binary @FILE and -F file=@FILE send a file as it is"

_MOST_CHARACTERS = 40
_SEND_FILE = "send the file's bytes, with curl as -F file=@FILE or --data-binary @FILE"

# The first that fits decides.
_LOOKS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), words)
    for pattern, words in (
        (rb"\x89PNG|RIFF[^\0]+\Z", f"an image that lost line ends and zero bytes on its way; {CURL_D}"),
        (rb"\x1f\x8b", "gzip; say so in a header, Content-Encoding: gzip"),
        (rb'\s*"?(/9j/|iVBORw0KGgo|R0lGOD|UklGR|data:)', 'base64 text; send it as JSON, {"image": "…"}'),
        (rb"\s*(https?|ftp|file|s3|gs)://", f"an address, and the service fetches nothing; {_SEND_FILE}"),
        (rb"\s*--\S", "a multipart form; its Content-Type must be multipart/form-data, with its boundary"),
        (rb"[\w.\[\]-]{1,40}=", f"fields of a form without a file; {_SEND_FILE}"),
        (rb"@?[^\n\r<>]{1,250}\.\w{2,5}\s*\Z", f"the name of a file, not its content; {_SEND_FILE}"),
    )
)


def describe(content: bytes, advice: str) -> str:
    """A few characters of `content`, all printable, what it looks like, and what to do: `advice` where that is unknown.

    To be read after "it".
    """
    for pattern, words in _LOOKS:
        if pattern.match(content[:300]):
            return f"begins with {_beginning(content)}, and looks like {words}"
    return f"begins with {_beginning(content)}; {advice}"


def _beginning(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "the mark of UTF-16 text"
    try:
        # Incremental: the last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(content[: 4 * _MOST_CHARACTERS])
    except UnicodeDecodeError:
        return f"{content[:12]!r}"
    return f"{text[:_MOST_CHARACTERS]!r:.80}"
