"""Images from the bodies of our own calls: unpacked, and read on a thread where that takes long."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from fastapi import Request

from service.context import context_of
from service.http.bodies import SMALL_BODY_BYTES, read_body
from service.http.compression import unpack
from service.http.image_bodies import SentImages, UploadedFile, image_in, images_in, is_json, one_or_more_in
from service.http.queries import parameters_of

Value = TypeVar("Value")


async def read_image(request: Request) -> bytes:
    """The one encoded image in the request. Raises as `read_body`, `unpack` and `image_in` do."""
    return await _read(request, image_in)


async def read_images(request: Request) -> list[UploadedFile]:
    """The encoded images in the request, as many as one may bring, in order. Raises as `read_image` does."""
    most = context_of(request).settings.max_images_per_request
    return await _read(request, lambda body, type_, parameters: images_in(body, type_, most, parameters))


async def read_one_or_more(request: Request) -> SentImages:
    """The encoded images in the request, sent in either way. Raises as `read_image` and `read_images` do."""
    most = context_of(request).settings.max_images_per_request
    return await _read(request, lambda body, type_, parameters: one_or_more_in(body, type_, most, parameters))


async def _read(request: Request, reader: Callable[[bytes, str, Iterable[str]], Value]) -> Value:
    context = context_of(request)
    body = await read_body(request, context.bodies)
    headers = dict(request.scope["headers"])
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    encoding = headers.get(b"content-encoding", b"").decode("latin-1")
    if not encoding and (len(body) <= SMALL_BODY_BYTES or not is_json(body, content_type)):
        return reader(body, content_type, parameters_of(request))
    settings = context.settings

    def read() -> Value:
        return reader(unpack(body, encoding, settings.max_body_bytes), content_type, parameters_of(request))

    return await context.prediction.on_a_thread(read, time.monotonic() + settings.request_timeout_s)
