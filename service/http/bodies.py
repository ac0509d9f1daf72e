"""Reads the body of a request within limits of bytes and time. Knows nothing of what is in it.

How long a body takes is looked at whenever a piece of it comes. A piece may be empty, as ASGI has it: so a server says
that it has waited long enough for the next one (see `service.server.connection`). A timer for each request would cost
3% of what a small image takes.
"""

import time
from collections.abc import AsyncGenerator

from fastapi import Request

from service.errors import BodyTooLarge, MalformedRequest, RequestTimeout
from service.inference.waiting_bytes import WaitingBytes
from service.settings import seconds_for

# A body of about so many bytes is read, and an answer of so many numbers is written, in a millisecond or two; what is
# larger goes to a thread.
SMALL_BODY_BYTES = 100_000
SMALL_ANSWER_VALUES = 2_000


class BodyLimits:
    """What may be read of the bodies of all requests; the bytes of unfinished ones are among `waiting`."""

    def __init__(self, max_bytes: int, timeout_s: float, waiting: WaitingBytes) -> None:
        """Each has `max_bytes` at most, and comes within `timeout_s` or not much slower than a bad line lets it."""
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s
        self.waiting = waiting


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


async def _chunks(request: Request, bodies: BodyLimits) -> AsyncGenerator[bytes, None]:
    """The body as it comes in. Raises BodyTooLarge as soon as it is declared or seen to have too many bytes."""
    declared = dict(request.scope["headers"]).get(b"content-length", b"")
    if declared.isdigit():
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
