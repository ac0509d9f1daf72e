"""What is hostile in a single request, ready to be sent, by name: for the table of costs and for chaos."""

import itertools
from collections.abc import Callable
from functools import partial

from tests.attacks import bodies, connections, pictures
from tests.connections import as_request

HEADS = (
    connections.long_header,
    connections.many_headers,
    connections.long_url,
    connections.long_trailer,
    connections.many_trailers,
    connections.chunk_extensions,
    connections.many_wishes,
)
LISTS = (bodies.empty_lists, bodies.deep_lists, bodies.small_objects, bodies.many_numbers)
FORMS = (bodies.near_boundaries, bodies.padded_boundary, bodies.many_parts)
PATHS = {"/v1/models/best-cnn-model:predict": bodies.ROWS, "/v2/models/best-cnn-model/infer": bodies.TENSOR}


def requests(head_bytes: int, body_bytes: int) -> dict[str, Callable[[], bytes]]:
    """What makes each of them, with heads of so many bytes, and bodies of so many once they are unpacked."""
    made = {one.__name__: partial(_picture, one) for one in pictures.ALL}
    made |= {one.__name__: partial(one, head_bytes) for one in HEADS}
    for (path, around), one in itertools.product(PATHS.items(), LISTS):
        made[f"{one.__name__}, packed, to {path[:3]}"] = partial(_packed, one, around, body_bytes, path)
    return made | {one.__name__: partial(_form, one, body_bytes) for one in FORMS}


def _picture(make: Callable[[], bytes]) -> bytes:
    return as_request(make())


def _packed(make: Callable[..., bytes], around: tuple[bytes, bytes], size: int, path: str) -> bytes:
    packed = bodies.packed(make(around, size))
    return as_request(packed, path, "application/json", extra="Content-Encoding: gzip\r\n")


def _form(make: Callable[[int], bytes], size: int) -> bytes:
    return as_request(make(size), content_type=bodies.FORM_TYPE)
