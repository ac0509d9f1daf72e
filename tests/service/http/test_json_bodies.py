"""JSON is parsed only where it has no more in it than the largest request needs."""

import gc
import json
import tracemalloc
from collections.abc import Callable

import pytest

from models.card import ImageInput
from service.errors import MalformedRequest
from service.http.json_bodies import JsonBounds, bounds_for, parse_json
from service.protocols.tfserving.rows import read_rows
from tests.attacks import bodies as attacks

Attack = Callable[[tuple[bytes, bytes], int], bytes]
SIZE = 1_000_000
SMALL = ImageInput(height=4, width=4, channels=1, scale=1 / 255)
LARGE = ImageInput(height=224, width=224, channels=3, scale=1 / 255)
ATTACKS = [
    attacks.empty_lists,
    attacks.lists_of_one,
    attacks.empty_objects,
    attacks.small_objects,
    attacks.deep_lists,
    attacks.deep_objects,
]


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes of memory that `work`, which is refused, had at once."""
    tracemalloc.start()
    try:
        with pytest.raises(MalformedRequest):
            work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("around", [attacks.ROWS, attacks.TENSOR], ids=["rows", "tensor"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize("wanted", [SMALL, LARGE], ids=["small", "large"])
def test_what_no_request_needs_is_not_parsed(wanted: ImageInput, attack: Attack, around: tuple[bytes, bytes]) -> None:
    body = attack(around, SIZE)
    assert peak_of(lambda: parse_json(body, bounds_for(wanted, 64))) < 2 * SIZE


def test_numbers_are_bounded_by_the_shape_of_the_model() -> None:
    body = attacks.many_numbers(attacks.ROWS, SIZE)
    assert peak_of(lambda: parse_json(body, bounds_for(SMALL, 64))) < 2 * SIZE
    assert len(parse_json(body, bounds_for(LARGE, 64))["instances"]) > 200_000


def test_names_are_bounded() -> None:
    body = attacks.many_names(SIZE)
    assert peak_of(lambda: parse_json(body, bounds_for(LARGE, 64))) < 2 * SIZE


def test_base64_in_pieces_costs_no_more_than_in_one() -> None:
    body = attacks.spaced_base64(SIZE).replace(b"]}", b",0]}")  # refused once the first row was read
    assert peak_of(lambda: read_rows(body, ("instances",), SMALL, 64)) < 5 * SIZE


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rows", [1, 64])
def test_the_largest_requests_are_read(channels: int, rows: int) -> None:
    wanted = ImageInput(height=30, width=20, channels=channels, scale=1)
    bounds = bounds_for(wanted, 64)
    image = [[[0.5] * channels] * 20] * 30
    for row in (image, {"input": image}, {"b64": "AAAA"}, {"input": {"b64": "AAAA"}}):
        body = {"instances": [row] * rows, "signature_name": "serving_default"}
        assert parse_json(json.dumps(body).encode(), bounds) == body


def test_what_clients_say_beside_the_images_fits() -> None:
    beside = {"parameters": {f"name {number}": [number, {}] for number in range(300)}}
    assert parse_json(json.dumps(beside).encode(), JsonBounds()) == beside


def test_what_there_is_too_much_of_is_told() -> None:
    bounds = JsonBounds(values=2, lists=3, names=2)
    for body, part in (
        (b"[1,2,3,4]", "3 values, and the largest request needs at most 2"),
        (b"[[[[]]]]", "4 lists"),
        (b'{"a":{"b":1}}', "4 names and objects"),
    ):
        with pytest.raises(MalformedRequest, match=part):
            parse_json(body, bounds)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 300, b'{"id": "\\ud800"}', b"9" * 5000, b"[1]]"])
def test_what_is_no_json_is_told_and_garbage_is_collected_on(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"JSON cannot be read|is empty"):
        parse_json(body, JsonBounds())
    assert gc.isenabled()


def test_a_byte_order_mark_and_lines_in_texts_are_read() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": "x\r\ny\nz"}', JsonBounds()) == {"a": "x y z"}
    with pytest.raises(MalformedRequest, match="cannot be read"):
        parse_json(b'{"a": "x\ny", "b": 1\n2}', JsonBounds())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_told(encoding: str) -> None:
    for text in ('{"a": 1}', "[1]", '"a"'):
        with pytest.raises(MalformedRequest, match="UTF-16 or the like, expected UTF-8"):
            parse_json(text.encode(encoding), JsonBounds())
