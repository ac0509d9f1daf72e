"""Reads pictures from a request: from a multipart form or from the raw body, never more bytes than are allowed."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from service.errors import BodyTooLarge, MalformedRequest, UnsupportedMediaType
from service.routes.form import read_form

_FORM = "multipart/form-data"
# Pages and programs send a few fields of their own beside the pictures; they are read and left alone.
_MOST_OTHER_FIELDS = 16
_ADVICE = "send the picture as multipart field 'file', or as the body with a Content-Type such as image/png"


@dataclass(frozen=True)
class UploadedFile:
    """One file of a form: the name it was sent under, and its bytes."""

    name: str
    content: bytes


async def read_picture(request: Request, max_bytes: int) -> bytes:
    """The one encoded picture in the request.

    Raises MalformedRequest where there is none, UnsupportedMediaType for a body that is declared to be no picture,
    and BodyTooLarge past `max_bytes`.
    """
    media_type = _media_type(request)
    if media_type == _FORM:
        (file,) = await _read_files(request, "file", 1, max_bytes)
        return file.content
    if media_type.startswith("image/"):
        return await read_body(request, max_bytes)
    if not media_type and request.headers.get("content-length", "0") == "0":
        raise MalformedRequest(f"the request has no picture; {_ADVICE}")
    raise UnsupportedMediaType(f"the body is declared as {media_type or 'nothing'}; {_ADVICE}")


async def read_files(request: Request, max_files: int, max_bytes: int) -> list[UploadedFile]:
    """The form's `files`, at least one, in the order in which they were sent.

    Raises MalformedRequest, UnsupportedMediaType or BodyTooLarge.
    """
    if _media_type(request) != _FORM:
        raise UnsupportedMediaType(f"the body is not {_FORM}; send the pictures as multipart fields 'files'")
    return await _read_files(request, "files", max_files, max_bytes)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body as it is. Raises BodyTooLarge past `max_bytes`, and MalformedRequest where it breaks off."""
    return b"".join([chunk async for chunk in _chunks(request, max_bytes)])


async def _read_files(request: Request, field: str, max_files: int, max_bytes: int) -> list[UploadedFile]:
    chunks = _chunks(request, max_bytes)
    parts = await read_form(request.headers["content-type"], chunks, max_files + _MOST_OTHER_FIELDS)
    fitting = [part for part in parts if part.name == field]
    if not fitting:
        found = ", ".join(repr(part.name) for part in parts) or "none"
        raise MalformedRequest(f"the form has no file in a field {field!r}; its fields: {found}")
    if len(fitting) > max_files:
        raise MalformedRequest(f"the form has {len(fitting)} fields {field!r}, expected at most {max_files}")
    files = []
    for part in fitting:
        if part.filename is None:
            raise MalformedRequest(f"the field {field!r} is text; send it as a file, with a filename")
        files.append(UploadedFile(part.filename, part.content))
    return files


async def _chunks(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes in. Raises BodyTooLarge as soon as it is declared or seen to exceed `max_bytes`."""
    too_large = BodyTooLarge(f"the body is larger than the {max_bytes:,} bytes that are read; send a smaller picture")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise too_large
            yield chunk
    except ClientDisconnect as error:
        raise MalformedRequest(f"the caller left after {size:,} bytes of the body") from error


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
