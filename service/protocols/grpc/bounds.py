"""How many parts a message has, counted before it is parsed. Knows no message.

Two bytes of a message can be a message of their own, which takes a hundred bytes of memory.
"""

from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from service.errors import MalformedRequest

# Names, shapes, parameters: so many may be in any request beside its images.
_BESIDE_IMAGES = 1000
# What is smaller is never much.
_SMALL_BYTES = 16_384
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


def ensure_few_fields(content: bytes, message: Any, most_images: int) -> None:
    """Raises MalformedRequest where `content`, encoded as `message`, has more fields than `most_images` need.

    Content that is damaged may be let through: it is not parsed either.
    """
    if len(content) <= _SMALL_BYTES:
        return
    most = most_images + _BESIDE_IMAGES
    found = 0
    waiting = [(0, len(content), message)]
    while waiting:
        place, end, described = waiting.pop()
        nested = _nested(described)
        while place < end:
            found += 1
            tag, place = _varint(content, place)
            kind = tag & 7
            if kind == _LENGTH:
                length, place = _varint(content, place)
                if inner := nested.get(tag >> 3):
                    waiting.append((place, min(place + length, end), inner))
                elif tag >> 3 in _packed_wide(described):
                    found += length  # as many numbers, where each takes a byte
                place += length
            elif kind == _VARINT:
                _, place = _varint(content, place)
            elif kind in {_FOUR_BYTES, _EIGHT_BYTES}:
                place += 4 if kind == _FOUR_BYTES else 8
            else:
                raise MalformedRequest(f"the {message.full_name} is damaged, or has groups in it, which it has none of")
            if found > most:
                raise MalformedRequest(
                    f"the {message.full_name} of {len(content):,} bytes has more than {most:,} fields, and the largest "
                    "request needs fewer; send raw contents, or several requests"
                )


@cache
def _packed_wide(described: Any) -> frozenset[int]:
    """The fields of whole numbers that take eight bytes of memory for one that is sent. No images come in them."""
    wide = {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_BOOL}
    return frozenset(field.number for field in described.fields if field.is_repeated and field.type in wide)


@cache
def _nested(message: Any) -> dict[int, Any]:
    """The fields that are messages themselves, by number."""
    return {field.number: field.message_type for field in message.fields if field.message_type}


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, and the place behind it."""
    value = 0
    for at, byte in enumerate(content[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return value, place + at + 1
    return value, len(content)  # it does not end: no parser goes on from here
