"""Reads a multipart form (RFC 7578) whose body is in memory. Knows nothing of images.

The body is searched for its boundary, and for nothing else: a parser that looks at it byte by byte can be made to take
a second for ten megabytes of lines that begin as the boundary does.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

from service.errors import MalformedRequest

# RFC 2046 lets a boundary have 70 characters, and programs make longer ones.
_LONGEST_BOUNDARY = 256
# Of the lines above a part's content, all together. Browsers send a name and a file name in them.
_LONGEST_HEADERS = 8192
# Each takes a microsecond; a file's name may have some semicolons, too.
_MOST_PARAMETERS = 100
_BLANK_LINE = b"\r\n\r\n"
# What ends a line that begins with the boundary: the end of the form, or of the line, which may be padded.
_BEHIND_BOUNDARY = re.compile(rb"--|[ \t]{0,100}\r\n")


class Part(NamedTuple):
    """One field of a form; `filename` is None where there is none, and `media_type` "" where none is declared."""

    name: str
    filename: str | None
    content: bytes
    media_type: str = ""


def read_form(content_type: str, body: bytes, max_parts: int) -> list[Part]:
    """The parts of the form `body`, which the header Content-Type describes.

    Raises MalformedRequest, also where there are more than `max_parts`.
    """
    delimiter = b"\r\n--" + _boundary(content_type)
    parts: list[Part] = []
    # The first boundary may be at the very start, or below lines that mean nothing.
    at = -2 if body.startswith(delimiter[2:]) else body.find(delimiter)
    if at == -1:
        raise _unreadable(f"its boundary, {delimiter[2:]!r:.80}, is not in the body")
    while True:
        behind = at + len(delimiter)
        ending = _BEHIND_BOUNDARY.match(body, behind)
        if ending is None:
            found = body[behind : behind + 10]
            raise _unreadable(f"{found!r} follows the boundary at byte {behind:,}; expected the end of the line, or --")
        if ending[0] == b"--":
            return parts
        if len(parts) == max_parts:
            raise MalformedRequest(f"the multipart form has more than the {max_parts} parts that are read")
        # The first header may be missing, and the line above it be the blank one's beginning.
        headers_end = body.find(_BLANK_LINE, ending.end() - 2, ending.end() + _LONGEST_HEADERS)
        if headers_end == -1 and len(body) > ending.end() + _LONGEST_HEADERS:
            raise _unreadable(
                f"part {len(parts)} has more than the {_LONGEST_HEADERS:,} bytes of headers that are read"
            )
        start = headers_end + len(_BLANK_LINE)
        at = body.find(delimiter, start)
        if headers_end == -1 or at == -1:
            raise MalformedRequest("the multipart form is cut short: its last boundary is missing")
        parts.append(_part(body[ending.end() : headers_end], body[start:at]))


def _boundary(content_type: str) -> bytes:
    boundary = _parameters(content_type, "its Content-Type").get(b"boundary", b"")
    if not boundary:
        raise _unreadable(
            "its Content-Type names no boundary; leave that header to the program that makes the form, which knows it"
        )
    if len(boundary) > _LONGEST_BOUNDARY:
        raise _unreadable(f"its boundary has {len(boundary):,} bytes, expected at most {_LONGEST_BOUNDARY}")
    return boundary


def _part(headers: bytes, content: bytes) -> Part:
    disposition, media_type = "", ""
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if name == b"content-disposition":
            disposition = value.strip().decode("latin-1")
        elif name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower().decode("latin-1")
    options = _parameters(disposition, "a Content-Disposition")
    filename = options.get(b"filename")
    if "*" in disposition:
        filename = _extended_filename(disposition) or filename
    return Part(
        options.get(b"name", b"").decode(errors="replace"),
        None if filename is None else filename.decode(errors="replace"),
        content,
        media_type,
    )


def _extended_filename(disposition: str) -> bytes | None:
    """What stands as filename* in it, as in `filename*=UTF-8''caf%C3%A9.png` (RFC 8187).

    RFC 7578 has forms without it. Programs send it all the same, some of them alone; the parser leaves it away.
    """
    renamed = re.sub(r"\*\s*=", "-extended=", disposition)
    value = _parameters(renamed, "a Content-Disposition").get(b"filename-extended")
    return None if value is None else unquote_to_bytes(value.rpartition(b"'")[2])


def _parameters(header: str, where: str) -> dict[bytes, bytes]:
    if header.count(";") > _MOST_PARAMETERS:
        raise _unreadable(f"{where} has {header.count(';'):,} semicolons, expected at most {_MOST_PARAMETERS}")
    _, parameters = parse_options_header(header)
    return parameters


def _unreadable(why: str) -> MalformedRequest:
    return MalformedRequest(f"the multipart form cannot be read: {why}")
