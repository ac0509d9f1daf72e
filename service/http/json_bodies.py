"""A JSON body → plain objects, of which there are no more than a request needs. Knows no protocol and no HTTP."""

import codecs
import gc
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import from_json

from models.card import ImageInput
from service.errors import MalformedRequest

# Names, shapes, parameters: so many values, lists and names may be in any request beside its images.
_BESIDE_IMAGES = 1000
_KINDS = {list: "a list", dict: "an object", str: "a text", int: "a number", float: "a number", type(None): "null"}
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
# UTF-16 begins with its own mark, or has a zero byte beside the first character.
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"{\0", b"[\0", b'"\0', b"\0")


class JsonBounds(NamedTuple):
    """How much of what may be in a body, strings included, since nothing is parsed yet.

    `values` are told by their commas, `lists` by their brackets, `names` by the colons behind them and the braces of
    their objects.
    """

    values: int = _BESIDE_IMAGES
    lists: int = _BESIDE_IMAGES
    names: int = _BESIDE_IMAGES
    values_a_list: int | None = None
    """Past `lists`, there may be one more for so many values; none where that is not given."""


def bounds_for(wanted: ImageInput, most_rows: int) -> JsonBounds:
    """What `most_rows` images need, as numbers or as base64 text in objects."""
    values = most_rows * wanted.height * wanted.width * wanted.channels
    # The innermost lists have the channels of a pixel: an empty one costs no less memory, and fewer bytes to send.
    lists = most_rows * (wanted.height + 1)
    names = 4 * most_rows
    return JsonBounds(
        values + _BESIDE_IMAGES, lists + _BESIDE_IMAGES, names + _BESIDE_IMAGES, values_a_list=wanted.channels
    )


def parse_json(content: bytes, bounds: JsonBounds) -> Any:
    """What `content` says; NaN and Infinity are taken. Raises MalformedRequest, also where more is in it than may be.

    It may begin with UTF-8's byte order mark, and texts in it may go over lines, which come out as spaces: so a shell
    writes the output of `base64` into them.

    The parser lets no other thread run, goes 200 levels deep, refuses whole numbers of more than 4,300 digits, and
    takes up to 40 bytes of memory for one that is sent. Hence the counting first, which takes 5% of its time.
    """
    if not content:
        raise MalformedRequest("the body is empty, expected a JSON object")
    if content.startswith(_UTF_16):
        raise MalformedRequest("the body is JSON in UTF-16 or the like, expected UTF-8; encode it so")
    content = content.removeprefix(codecs.BOM_UTF8)
    codes = np.frombuffer(content, np.uint8)

    def count(mark: str) -> int:
        return int(np.count_nonzero(codes == ord(mark)))  # five times as fast as bytes.count, and beside other threads

    values = count(",")
    _ensure(values, bounds.values, "values")
    most_lists = bounds.lists + (values // bounds.values_a_list if bounds.values_a_list else 0)
    _ensure(count("["), most_lists, "lists")
    _ensure(count(":") + count("{"), bounds.names, "names and objects")
    # A list of lists is many objects at once: the garbage collector would look at all of them again and again, and find
    # nothing, for three quarters of the time. Where two threads come here at once, one may be as slow as that.
    collects = gc.isenabled()
    gc.disable()
    try:
        return _parsed(content)
    except ValueError as error:
        raise MalformedRequest(f"the {len(content):,} bytes of JSON cannot be read: {error}") from error
    finally:
        if collects:
            gc.enable()


def kind_of(value: Any) -> str:
    """What `value`, which was parsed, is in JSON's words."""
    return _KINDS.get(type(value), "true or false")


def _parsed(content: bytes) -> Any:
    try:
        return from_json(content)
    except ValueError as error:
        if not str(error).startswith("control character"):
            raise
        return from_json(content.replace(b"\r\n", b"\n").translate(_LINE_ENDS))


def _ensure(found: int, most: int, what: str) -> None:
    if found > most:
        raise MalformedRequest(
            f"the body has {found:,} {what}, and the largest request needs at most {most:,}; send several requests, "
            "or images as base64"
        )
