"""What has too many parts is refused before they take memory."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedRequest
from service.protocols.grpc.bounds import ensure_few_fields
from service.protocols.grpc.messages import open_inference_pb2, tensorflow_serving_pb2

INFER = open_inference_pb2.ModelInferRequest
PREDICT = tensorflow_serving_pb2.PredictRequest


def length_delimited(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_a_large_request_of_few_parts_passes() -> None:
    tensor = {"name": "input", "datatype": "FP32", "shape": [64, 224, 224, 3]}
    request = INFER(model_name="m", inputs=[tensor], raw_input_contents=[b"\xff" * 1_000_000])
    ensure_few_fields(request.SerializeToString(), INFER.DESCRIPTOR, 64)
    tensor["contents"] = {"fp32_contents": [0.5] * 100_000}
    ensure_few_fields(INFER(inputs=[tensor]).SerializeToString(), INFER.DESCRIPTOR, 64)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (INFER, length_delimited(5, b"") * 20_000),
        (INFER, length_delimited(5, length_delimited(4, b"") * 20_000)),
        (PREDICT, length_delimited(2, b"") * 20_000),
        (PREDICT, length_delimited(2, length_delimited(2, length_delimited(2, length_delimited(2, b"") * 20_000)))),
        (INFER, b"\xf8\x07\x01" * 20_000),
    ],
    ids=["inputs", "parameters", "tensors", "dimensions", "fields-that-nobody-knows"],
)
def test_many_small_parts_are_refused_however_deep(kind: type, content: bytes) -> None:
    with pytest.raises(MalformedRequest, match="more than 1,064 fields"):
        ensure_few_fields(content, kind.DESCRIPTOR, 64)


def test_numbers_that_take_more_memory_than_bytes_are_counted_each() -> None:
    tensor = {"contents": {"int64_contents": [0] * 20_000}}
    with pytest.raises(MalformedRequest, match="more than 1,064 fields"):
        ensure_few_fields(INFER(inputs=[tensor]).SerializeToString(), INFER.DESCRIPTOR, 64)
    images = {"contents": {"uint_contents": [0] * 20_000}}
    ensure_few_fields(INFER(inputs=[images]).SerializeToString(), INFER.DESCRIPTOR, 64)


@given(st.binary(max_size=40), st.sampled_from([INFER, PREDICT]))
def test_whatever_comes_is_looked_through_without_a_fault(content: bytes, kind: type) -> None:
    with suppress(MalformedRequest):
        ensure_few_fields(content * 2000, kind.DESCRIPTOR, 64)


def test_groups_are_refused() -> None:
    with pytest.raises(MalformedRequest, match="groups"):
        ensure_few_fields(b"\x0b" * 20_000, INFER.DESCRIPTOR, 64)
