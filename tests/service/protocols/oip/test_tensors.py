"""Tensors of the Open Inference Protocol on the wire, without a service around them."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest

from service.errors import MalformedRequest
from service.http.json_bodies import JsonBounds
from service.protocols.oip.tensors import GivenTensor, InputTensor, read_request, read_values, write_answer

NOTHING = memoryview(b"")


def tensor(shape: list[int], datatype: str, data: Any = None, size: int | None = None) -> InputTensor:
    parameters = {} if size is None else {"binary_data_size": size}
    return InputTensor.model_validate(
        {"name": "input", "shape": shape, "datatype": datatype, "data": data, "parameters": parameters}
    )


def behind(shape: list[int], datatype: str, content: bytes) -> Any:
    return read_values(tensor(shape, datatype, size=len(content)), memoryview(content))


def test_json_and_the_bytes_behind_it_are_told_apart_by_the_length() -> None:
    request = {"id": "7", "inputs": [{"name": "input", "shape": [3], "datatype": "UINT8"}]}
    head = json.dumps(request).encode()
    read, rest = read_request(head + b"abc", len(head), JsonBounds())
    assert (read.id, read.inputs[0].shape, bytes(rest)) == ("7", [3], b"abc")
    assert bytes(read_request(head, None, JsonBounds())[1]) == b""


@pytest.mark.parametrize(
    ("datatype", "dtype", "comes_as"),
    [("UINT8", "u1", np.uint8), ("FP16", "<f2", np.float32), ("FP32", "<f4", np.float32), ("FP64", "<f8", np.float32)],
)
def test_numbers_are_the_same_flat_nested_and_as_bytes(datatype: str, dtype: str, comes_as: type) -> None:
    values = np.array([[0, 1, 2], [3, 128, 255]], dtype)
    for read in (
        behind([2, 3], datatype, values.tobytes()),
        read_values(tensor([2, 3], datatype, values.ravel().tolist()), NOTHING),
        read_values(tensor([2, 3], datatype, values.tolist()), NOTHING),
    ):
        assert read.dtype == comes_as
        assert read.tolist() == [0, 1, 2, 3, 128, 255]


def test_bytes_are_the_same_as_base64_text_and_behind_the_json() -> None:
    elements = [b"", b"\x00\xff", b"abc"]
    text = [base64.b64encode(element).decode() for element in elements]
    packed = b"".join(struct.pack("<I", len(element)) + element for element in elements)
    assert read_values(tensor([3], "BYTES", text), NOTHING) == elements
    assert read_values(tensor([3, 1], "BYTES", [[each] for each in text]), NOTHING) == elements
    assert behind([3], "BYTES", packed) == elements


def test_numbers_beyond_float32_become_infinite_as_numpy_has_it() -> None:
    assert read_values(tensor([2], "FP64", [1e300, 0.5]), NOTHING).tolist() == [np.inf, 0.5]
    assert behind([1], "FP64", struct.pack("<d", -1e300)).tolist() == [-np.inf]


@pytest.mark.parametrize(
    ("shape", "datatype", "data", "part"),
    [
        ([2], "UINT8", [1], "a list of 1, and the shape [2] takes 2 values"),
        ([2, 2], "UINT8", [[1, 2], [3]], "nested otherwise"),
        ([2, 2], "UINT8", [[1, 2], 3], "nested otherwise"),
        ([2, 2], "UINT8", [[1, 2]], "nested otherwise"),
        ([2, 2], "FP32", [[[1], [2]], [[3], [4]]], "list arrived"),
        ([1], "UINT8", [256], "whole numbers from 0 to 255"),
        ([1], "UINT8", [-1], "whole numbers from 0 to 255"),
        ([1], "UINT8", [1.5], "float arrived"),
        ([1], "UINT8", [True], "bool arrived"),
        ([2], "FP32", [1, None], "must be numbers: NoneType, int arrived"),
        ([1], "FP32", ["1"], "must be numbers: str arrived"),
        ([1], "FP32", [10**400], "must be numbers"),
        ([1], "BYTES", ["not base64!"], "data[0] cannot be decoded as base64"),
        ([1], "BYTES", ["é"], "it has 'é' in it"),
        ([1], "BYTES", [1], "must be base64 text"),
    ],
)
def test_data_that_does_not_fit_is_told(shape: list[int], datatype: str, data: list[Any], part: str) -> None:
    with pytest.raises(MalformedRequest) as told:
        read_values(tensor(shape, datatype, data), NOTHING)
    assert part in str(told.value)


@pytest.mark.parametrize(
    ("shape", "datatype", "content", "part"),
    [
        ([3], "UINT8", b"ab", "2 bytes arrived for UINT8 of shape [3], expected 3"),
        ([1], "FP32", b"abcde", "5 bytes arrived for FP32 of shape [1], expected 4"),
        ([1], "BYTES", b"\x01\x00", "end within element 0 of 1"),
        ([1], "BYTES", b"\x05\x00\x00\x00abc", "end within element 0 of 1"),
        ([2], "BYTES", b"\x01\x00\x00\x00a", "end within element 1 of 2"),
        ([1], "BYTES", b"\x01\x00\x00\x00ab", "1 bytes follow the 1 elements"),
        ([1], "BYTES", b"\xff\xff\xff\xff", "end within element 0 of 1"),
    ],
)
def test_bytes_that_do_not_fit_are_told(shape: list[int], datatype: str, content: bytes, part: str) -> None:
    with pytest.raises(MalformedRequest) as told:
        behind(shape, datatype, content)
    assert part in str(told.value)


@pytest.mark.parametrize(
    ("data", "size", "content", "part"),
    [
        (None, None, b"", "either data or the parameter binary_data_size"),
        ([1], 1, b"a", "either data or the parameter binary_data_size"),
        (None, 1, b"", "0 bytes follow the JSON, and binary_data_size says 1"),
        (None, 1, b"ab", "2 bytes follow the JSON, and binary_data_size says 1"),
        ([1], None, b"a", "1 bytes follow the JSON, and binary_data_size says 0"),
    ],
)
def test_data_is_in_one_place_and_as_long_as_declared(data: Any, size: int | None, content: bytes, part: str) -> None:
    with pytest.raises(MalformedRequest) as told:
        read_values(tensor([1], "UINT8", data, size), memoryview(content))
    assert part in str(told.value)


INPUT = {"name": "input", "shape": [1], "datatype": "UINT8", "data": [1]}


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ([], "the body: "),
        ({}, "inputs: Field required"),
        ({"inputs": []}, "inputs: List should have at least 1 item"),
        ({"inputs": [INPUT, INPUT]}, "inputs: List should have at most 1 item"),
        ({"inputs": [INPUT], "outputs": [{"name": "a"}] * 3}, "outputs: List should have at most 2 items"),
        ({"inputs": [INPUT], "id": 7}, "id: Input should be a valid string, got 7"),
        ({"inputs": [INPUT | {"shape": [-1]}]}, "inputs.0.shape.0: "),
        ({"inputs": [INPUT | {"shape": ["1"]}]}, "inputs.0.shape.0: "),
        ({"inputs": [INPUT | {"shape": [1] * 9}]}, "inputs.0.shape: "),
        ({"inputs": [INPUT | {"data": "AAAA"}]}, "inputs.0.data: Input should be a valid list"),
        ({"inputs": [INPUT | {"parameters": {"binary_data_size": -1}}]}, "binary_data_size: "),
        ({"inputs": [INPUT], "id": "x" * 1001}, "id: String should have at most 1000 characters"),
        ({"inputs": [INPUT | {"parameters": {"shared_memory_region": "x"}}]}, "there is no shared memory"),
        ({"inputs": [INPUT], "parameters": {"timeout": -1}}, "parameters.timeout: "),
        ({"inputs": [INPUT], "parameters": {"timeout": 2**63}}, "parameters.timeout: "),
    ],
)
def test_requests_of_another_form_are_told_where(request_: Any, part: str) -> None:
    with pytest.raises(MalformedRequest) as told:
        read_request(json.dumps(request_).encode(), None, JsonBounds())
    assert part in str(told.value)
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"inputs": ' + b"[" * 500, b'{"id": "\\ud800"}'])
def test_what_is_no_json_is_told(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="bytes of JSON cannot be read"):
        read_request(body, None, JsonBounds())


def test_a_length_beyond_the_body_is_told() -> None:
    with pytest.raises(MalformedRequest, match="declared to have 3 bytes, and 2 bytes arrived"):
        read_request(b"{}", 3, JsonBounds())


def test_an_answer_holds_its_values_or_is_followed_by_them() -> None:
    values = np.array([[0.25, 0.75]], np.float32)
    inside, length = write_answer({"id": "7"}, [GivenTensor("probabilities", values, False)])
    output = {"name": "probabilities", "datatype": "FP32", "shape": [1, 2]}
    assert length is None
    assert json.loads(inside) == {"id": "7", "outputs": [output | {"data": [0.25, 0.75]}]}
    followed, length = write_answer({"id": "7"}, [GivenTensor("probabilities", values, True)])
    assert json.loads(followed[:length]) == {"id": "7", "outputs": [output | {"parameters": {"binary_data_size": 8}}]}
    assert followed[length:] == struct.pack("<2f", 0.25, 0.75)


def test_of_two_tensors_each_is_where_it_was_asked_for() -> None:
    first, second, third = (np.full((1, 2), value, np.float32) for value in (1, 2, 3))
    tensors = [GivenTensor("a", first, True), GivenTensor("b", second, False), GivenTensor("c", third, True)]
    content, length = write_answer({}, tensors)
    assert [output.get("data") for output in json.loads(content[:length])["outputs"]] == [None, [2, 2], None]
    assert content[length:] == struct.pack("<4f", 1, 1, 3, 3)


def test_text_in_an_answer_is_text_or_bytes_with_their_length() -> None:
    values = np.array([["0.5:0:Mütze".encode()]], object)
    inside, _ = write_answer({}, [GivenTensor("probabilities", values, False)])
    assert json.loads(inside)["outputs"][0] == {
        "name": "probabilities",
        "datatype": "BYTES",
        "shape": [1, 1],
        "data": ["0.5:0:Mütze"],
    }
    followed, length = write_answer({}, [GivenTensor("probabilities", values, True)])
    assert followed[length:] == struct.pack("<I", 12) + "0.5:0:Mütze".encode()


def test_a_value_that_is_no_number_is_null() -> None:
    inside, _ = write_answer({}, [GivenTensor("probabilities", np.array([[np.nan]], np.float32), False)])
    assert json.loads(inside)["outputs"][0]["data"] == [None]
