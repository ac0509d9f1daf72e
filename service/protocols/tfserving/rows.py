"""From the body of a TensorFlow Serving request to rows for the model. Knows no HTTP and no model."""

from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from models.card import ImageInput
from models.preprocessing import ModelInput
from service.errors import MalformedRequest
from service.http.base64_text import decode_base64
from service.http.json_bodies import bounds_for, kind_of, parse_json

# Keras's own name for the input differs with each model, and there is only one.
INPUT_NAME = "input"
SIGNATURE_NAME = "serving_default"


class Rows(NamedTuple):
    """What a request asks about.

    `key` is where its rows stand in the body. Each row is float32 (height, width, channels) as the model takes it, or
    the bytes of an encoded image.
    """

    key: str
    rows: list[ModelInput | bytes]


def read_rows(content: bytes, keys: tuple[str, ...], wanted: ImageInput, most_rows: int) -> Rows:
    """The rows of a JSON body: 1 to `most_rows` of them, under exactly one of `keys`. Raises MalformedRequest."""
    return rows_in(parse_json(content, bounds_for(wanted, most_rows)), keys, wanted, most_rows)


def rows_in(body: Any, keys: tuple[str, ...], wanted: ImageInput, most_rows: int) -> Rows:
    """The same of a body that is parsed already."""
    if type(body) is not dict:
        raise MalformedRequest(f"the body is {kind_of(body)}, expected a JSON object")
    check_signature(body.get("signature_name", ""))
    present = [key for key in keys if key in body]
    if len(present) != 1:
        expected = "exactly one of " * (len(keys) > 1) + " and ".join(map(repr, keys))
        raise MalformedRequest(f"the body has {' and '.join(map(repr, present)) or 'no rows'}, expected {expected}")
    (key,) = present
    values = _column(body[key]) if key == "inputs" else body[key]
    if type(values) is not list or not values:
        found = "an empty list" if values == [] else kind_of(values)
        raise MalformedRequest(f"{key!r} is {found}, expected a list of 1 to {most_rows} rows")
    if len(values) > most_rows:
        raise MalformedRequest(f"{key!r} has {len(values)} rows, expected at most {most_rows}; send several requests")
    return Rows(key, [_row(value, key, place, wanted) for place, value in enumerate(values)])


def check_signature(name: Any) -> None:
    """Raises MalformedRequest unless it is the one that there is, or empty."""
    if name not in ("", SIGNATURE_NAME):
        raise MalformedRequest(f"signature_name is {name!r:.80}, expected {SIGNATURE_NAME!r}, or none at all")


def _column(given: Any) -> Any:
    """The list of rows in column form, where one input's tensor may stand under its name."""
    if type(given) is dict and INPUT_NAME in given:
        if len(given) > 1:
            raise MalformedRequest(f"'inputs' has the names {_names(given)}; the model has one input, {INPUT_NAME!r}")
        given = given[INPUT_NAME]
    return [given] if type(given) is dict else given


def _row(value: Any, key: str, place: int, wanted: ImageInput) -> ModelInput | bytes:
    where = f"{key}[{place}]"
    if key != "inputs" and type(value) is dict and value.keys() == {INPUT_NAME}:
        value = value[INPUT_NAME]
    elif key == "examples" and type(value) is not dict:
        raise MalformedRequest(f"{where} is {kind_of(value)}, expected an object such as {{{INPUT_NAME!r}: …}}")
    return _image(value, where) if type(value) is dict else _numbers(value, where, wanted)


def _image(value: dict[str, Any], where: str) -> bytes:
    if value.keys() != {"b64"}:
        raise MalformedRequest(
            f"{where} is an object with the keys {_names(value) or 'of nothing'}; expected 'b64' alone for an image, "
            f"or the model's one input, {INPUT_NAME!r}, alone"
        )
    text = value["b64"]
    if type(text) is not str:
        raise MalformedRequest(f"{where}: 'b64' is {kind_of(text)}, expected a text")
    content = decode_base64(text, f"{where}: 'b64'")
    if not content:
        raise MalformedRequest(f"{where}: the image is empty: 0 bytes arrived")
    return content


def _numbers(value: Any, where: str, wanted: ImageInput) -> ModelInput:
    shape = (wanted.height, wanted.width, wanted.channels)
    flat = [value]
    for axis, size in enumerate(shape):
        kinds = set(map(type, flat))
        if axis == 2 and size == 1 and list not in kinds:
            break
        if kinds != {list}:
            raise _misfit(value, where, shape, ragged=list in kinds)
        lengths = set(map(len, flat))
        if lengths != {size}:
            raise _misfit(value, where, shape, ragged=len(lengths) > 1)
        flat = list(chain.from_iterable(flat))
    others = set(map(type, flat)) - {int, float}
    if list in others:
        raise _misfit(value, where, shape, ragged=False)
    if others:
        raise MalformedRequest(f"{where} has {kind_of(next(iter(others))())} in it, expected numbers")
    try:
        with np.errstate(over="ignore"):  # what float32 does not reach is infinite, as 1e400 is to JSON's parser
            return np.array(flat, np.float32).reshape(shape)
    except OverflowError as error:
        raise MalformedRequest(f"{where} has a whole number in it that no float holds") from error


def _misfit(value: Any, where: str, shape: tuple[int, ...], *, ragged: bool) -> MalformedRequest:
    expected = f"{shape} or {shape[:2]}" if shape[2] == 1 else f"{shape}"
    if ragged:
        return MalformedRequest(f"{where} is ragged: lists beside each other differ in length; expected {expected}")
    if type(value) is not list:
        return MalformedRequest(f"{where} is {kind_of(value)}, expected numbers of shape {expected}")
    found: list[int] = []
    while type(value) is list and len(found) < 8:
        found.append(len(value))
        value = value[0] if value else None
    return MalformedRequest(f"{where} has the shape {tuple(found)}, expected {expected}")


def _names(given: dict[str, Any]) -> str:
    return f"{', '.join(map(repr, given)):.200}"
