"""Requests whose right answer is known beforehand, and hostile ones whose refusal is."""

import base64
import json
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.chaos.answers import IMAGES, Right, is_right
from tests.connections import Answer, as_request, by_class

FORM_TYPE = "multipart/form-data; boundary=xYx"
REFUSALS = frozenset({400, 404, 405, 413, 415, 422})

# What is wrong with an answer, or None.
Judge = Callable[[Answer], str | None]


class Question(NamedTuple):
    """The request without its id, and what is wrong with an answer of 200; `refusals` are what may come instead."""

    name: str
    request: bytes
    judge: Judge
    refusals: frozenset[int] = frozenset()
    leave_early: bool = False
    unfinished: bool = False  # more of its body was promised than sent: what came next would be taken for that
    plain_refusal: bool = False  # what is no HTTP never reaches those who write problem documents


def form(field: str, *contents: bytes) -> bytes:
    parts = (
        b'--xYx\r\nContent-Disposition: form-data; name="%b"; filename="%d.png"\r\n\r\n%b\r\n'
        % (field.encode(), number, content)
        for number, content in enumerate(contents)
    )
    return b"".join(parts) + b"--xYx--\r\n"


def predict(number: int, right: Right) -> Question:
    """The image of that number as the raw body of `/predict`."""
    return Question("predict", as_request(IMAGES[number]), _own(number, right))


def friendly(chance: random.Random, right: Right) -> Question:
    """One of the calls that people make, about an image by chance."""
    number = chance.randrange(len(IMAGES))
    image = IMAGES[number]
    encoded = base64.b64encode(image).decode()
    numbers = [chance.randrange(len(IMAGES)) for _ in range(3)]
    ((version, rows),) = right.items()
    serving = json.dumps({"instances": [{"b64": encoded}]}).encode()
    tensor = {"name": "input", "shape": [1], "datatype": "BYTES", "data": [encoded]}
    infer = json.dumps({"inputs": [tensor]}).encode()
    (question,) = chance.choices(
        (
            predict(number, right),
            Question("form", as_request(form("file", image), content_type=FORM_TYPE), _own(number, right)),
            Question(
                "batch",
                as_request(form("files", *(IMAGES[each] for each in numbers)), "/predict/batch", FORM_TYPE),
                _batch(numbers, right),
            ),
            Question(
                "v1",
                as_request(serving, "/v1/models/best-cnn-model:predict", "application/json"),
                _rows(lambda body: body["predictions"][0], rows[number]),
            ),
            Question(
                "v2",
                as_request(infer, "/v2/models/best-cnn-model/infer", "application/json"),
                _rows(lambda body: body["outputs"][0]["data"], rows[number]),
            ),
            Question("summary", as_request(path="/model-summary", method="GET"), _holds(version.encode())),
            Question("kernels", as_request(path="/plot/kernels", method="GET"), _holds(b"\x89PNG")),
            Question("metrics", as_request(path="/metrics", method="GET"), _holds(b"keras_service_requests_total")),
        ),
        (30, 20, 10, 15, 15, 4, 1, 5),
    )
    return question


def hostile(chance: random.Random) -> Question:
    """Something that nobody should send."""
    image = chance.choice(IMAGES)
    cut = chance.randrange(40, len(image) * 3 // 4)
    whole = as_request(image)
    json_type = "application/json"
    kinds = (
        ("truncated image", as_request(image[:cut])),
        ("30 megapixels", as_request(png_header(6_000, 5_000))),
        ("text", as_request(b"this is no image")),
        ("text by its type", as_request(b"hello", content_type="text/plain")),
        (
            "oversize",
            as_request(method="POST", extra="Content-Length: 99999999\r\n").replace(b"Content-Length: 0\r\n", b""),
        ),
        ("unknown path", as_request(path=f"/{chance.randrange(10**9)}", method="GET")),
        ("wrong method", as_request(path="/predict", method="DELETE")),
        ("malformed form", as_request(form("file", image)[:cut], content_type=FORM_TYPE)),
        ("form without file", as_request(form("other", b"no image"), content_type=FORM_TYPE)),
        ("malformed JSON", as_request(b'{"instances": [', "/v1/models/best-cnn-model:predict", json_type)),
        ("wrong tensor", as_request(b'{"inputs": [{}]}', "/v2/models/best-cnn-model/infer", json_type)),
    )
    name, request = chance.choice((*kinds, ("left early", b""), ("no HTTP", b"")))
    if name == "left early":
        return Question(name, whole[: chance.randrange(1, len(whole) + 1)], _never, leave_early=True)
    if name == "no HTTP":
        return Question(name, b"\x16\x03\x01 hello\r\n\r\n", _never, frozenset({400}), plain_refusal=True)
    return Question(name, request, _never, REFUSALS, unfinished=name == "oversize")


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, and brings almost none of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1_000))) + chunk(b"IEND", b"")
    )


def _own(number: int, right: Right) -> Judge:
    def judge(answer: Answer) -> str | None:
        version = answer.body["model"]["version"]
        if version not in right:
            return f"version {version} is nobody's"
        return None if is_right(by_class(answer.body), right[version][number]) else f"not of image {number}"

    return judge


def _batch(numbers: list[int], right: Right) -> Judge:
    def judge(answer: Answer) -> str | None:
        rows = right[answer.body["model"]["version"]]
        found = [by_class(result["prediction"]) for result in answer.body["results"]]
        same = len(found) == len(numbers) and all(
            is_right(one, rows[number]) for one, number in zip(found, numbers, strict=True)
        )
        return None if same else f"not of images {numbers}"

    return judge


def _rows(find: Callable[[Any], list[float]], expected: list[float]) -> Judge:
    return lambda answer: None if is_right(find(answer.body), expected) else "not of this image"


def _holds(part: bytes) -> Judge:
    return lambda answer: None if part in answer.content else f"without {part!r}"


def _never(answer: Answer) -> str:
    return "accepted what is hostile"
