"""Reads a request: images from a multipart form or the raw body, or any body, within limits of bytes and time.

How long a body takes is looked at whenever a piece of it comes. A piece may be empty, as ASGI has it: so a server says
that it has waited long enough for the next one (see `service.server.connection`). A timer for each request would cost
3% of what a small image takes.
"""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request

from service.errors import BodyTooLarge, MalformedRequest, RequestTimeout, UnsupportedMediaType
from service.http.multipart import read_form
from service.inference.waiting_bytes import WaitingBytes
from service.settings import seconds_for

# A body of about so many bytes is read, and an answer of so many numbers is written, in a millisecond or two; what is
# larger goes to a thread.
SMALL_BODY_BYTES = 100_000
SMALL_ANSWER_VALUES = 2_000

_FORM = "multipart/form-data"
# Pages and programs send a few fields of their own beside the images; they are read and left alone.
_MOST_OTHER_FIELDS = 16
_ADVICE = "send the image as multipart field 'file', or as the body with a Content-Type such as image/png"


class BodyLimits:
    """What may be read of the bodies of all requests; the bytes of unfinished ones are among `waiting`."""

    def __init__(self, max_bytes: int, timeout_s: float, waiting: WaitingBytes) -> None:
        """Each has `max_bytes` at most, and comes within `timeout_s` or not much slower than a bad line lets it."""
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s
        self.waiting = waiting


@dataclass(frozen=True)
class UploadedFile:
    """One file of a form: the name it was sent under, and its bytes."""

    name: str
    content: bytes


async def read_image(request: Request, bodies: BodyLimits) -> bytes:
    """The one encoded image in the request.

    Raises MalformedRequest where there is none, UnsupportedMediaType for a body that is declared to be no image,
    and as `read_body` does.
    """
    media_type = _media_type(request)
    if media_type == _FORM:
        (file,) = await _read_files(request, "file", 1, bodies)
        return file.content
    if media_type.startswith("image/"):
        return await read_body(request, bodies)
    if not media_type and request.headers.get("content-length", "0") == "0":
        raise MalformedRequest(f"the request has no image; {_ADVICE}")
    raise UnsupportedMediaType(f"the body is declared as {media_type or 'nothing'}; {_ADVICE}")


async def read_body(request: Request, bodies: BodyLimits) -> bytes:
    """The whole body, whatever it is.

    Raises BodyTooLarge, RequestTimeout where it comes too slowly, MalformedRequest where it breaks off, and Overloaded
    where too much of others is on its way.
    """
    body = bytearray()  # of many small pieces a list would take several times as much
    async for chunk in _chunks(request, bodies):
        body += chunk
    return bytes(body)


async def until_disconnected(request: Request) -> None:
    """Returns once the client, whose body was read, has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_files(request: Request, max_files: int, bodies: BodyLimits) -> list[UploadedFile]:
    """The form's `files`, at least one, in the order in which they were sent.

    Raises MalformedRequest, UnsupportedMediaType, and as `read_body` does.
    """
    if _media_type(request) != _FORM:
        raise UnsupportedMediaType(f"the body is not {_FORM}; send the images as multipart fields 'files'")
    return await _read_files(request, "files", max_files, bodies)


async def _read_files(request: Request, field: str, max_files: int, bodies: BodyLimits) -> list[UploadedFile]:
    body = await read_body(request, bodies)
    parts = read_form(request.headers["content-type"], body, max_files + _MOST_OTHER_FIELDS)
    fitting = [part for part in parts if part.name == field]
    if not fitting:
        found = ", ".join(repr(part.name) for part in parts) or "none"
        raise MalformedRequest(f"the form has no file in a field {field!r}; its fields: {found:.300}")
    if len(fitting) > max_files:
        raise MalformedRequest(f"the form has {len(fitting)} fields {field!r}, expected at most {max_files}")
    files = []
    for part in fitting:
        if part.filename is None:
            raise MalformedRequest(f"the field {field!r} is text; send it as a file, with a filename")
        files.append(UploadedFile(part.filename, part.content))
    return files


async def _chunks(request: Request, bodies: BodyLimits) -> AsyncGenerator[bytes, None]:
    """The body as it comes in. Raises BodyTooLarge as soon as it is declared or seen to have too many bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        _check_size(bodies, int(declared))
    started = time.monotonic()
    size = unfinished = 0
    missing = True
    try:
        while missing:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise MalformedRequest(f"the client left after {size:,} bytes of the body")
            chunk, missing = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            _check_size(bodies, size)
            if missing:
                unfinished += len(chunk)
                bodies.waiting.count += len(chunk)
                _check_unfinished(bodies, size, time.monotonic() - started)
            if chunk:
                yield chunk
    finally:
        bodies.waiting.count -= unfinished


def _check_size(bodies: BodyLimits, size: int) -> None:
    if size > bodies.max_bytes:
        raise BodyTooLarge(
            f"the body is larger than the {bodies.max_bytes:,} bytes that are read; send fewer or smaller images"
        )


def _check_unfinished(bodies: BodyLimits, size: int, seconds: float) -> None:
    if seconds > seconds_for(bodies.timeout_s, size):
        raise RequestTimeout(
            f"only {size:,} bytes of the body came in {seconds:.0f} s; send it at once, or a smaller image"
        )
    bodies.waiting.ensure_room()


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
