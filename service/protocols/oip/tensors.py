"""The Open Inference Protocol's tensors on the wire, as JSON or as bytes behind it. Knows no routes and no model."""

import math
import reprlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, StrictInt, ValidationError, field_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import to_json

from service.errors import MalformedRequest
from service.http.base64_text import decode_base64
from service.http.json_bodies import JsonBounds, parse_json

Numbers = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

# What is read of numbers: little-endian, and whole or not. Encoded images come as BYTES.
_NUMBERS = {"UINT8": "u1", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
BYTES = "BYTES"
DATATYPES = (*_NUMBERS, BYTES)
_LENGTH_BYTES = 4
_LONGEST = 2**63 - 1
_LONGEST_ID = 1000  # it comes back with the answer

Size = Annotated[StrictInt, Field(ge=0, le=_LONGEST)]


class _Parameters(BaseModel):
    """Parameters that are not known are left alone, as the protocol has it."""

    shared_memory_region: SkipJsonSchema[str | None] = None

    @field_validator("shared_memory_region")
    @classmethod
    def _not_here(cls, value: str | None) -> None:
        if value is not None:
            raise ValueError("there is no shared memory with this service; send and take tensors in the body")


class InputParameters(_Parameters):
    """`binary_data_size`: so many bytes behind the JSON are the tensor's."""

    binary_data_size: Size | None = None


class OutputParameters(_Parameters):
    """`binary_data`: whether behind the JSON; `classification`: so many of the most probable classes, 0 for values."""

    binary_data: bool | None = None
    classification: Size = 0


class RequestParameters(BaseModel):
    """`binary_data_output`: whether outputs go behind the JSON unless they say otherwise; `timeout` in microseconds."""

    binary_data_output: bool = False
    timeout: Size = 0


class InputTensor(BaseModel):
    """What is sent. Where its bytes stand behind the JSON it has no `data`."""

    name: str
    shape: Annotated[list[Size], Field(max_length=8)]
    datatype: Annotated[str, Field(json_schema_extra={"enum": [*DATATYPES]})]
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = None


class OutputTensor(BaseModel):
    """What is asked for."""

    name: str
    parameters: OutputParameters = OutputParameters()


class InferRequest(BaseModel):
    """A question with one input, and two outputs at most: all that the models served here have."""

    id: Annotated[str, Field(max_length=_LONGEST_ID)] | None = None
    parameters: RequestParameters = RequestParameters()
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[OutputTensor], Field(max_length=2)] = []


def read_request(body: bytes, json_length: int | None, bounds: JsonBounds) -> tuple[InferRequest, memoryview]:
    """The JSON, which is the first `json_length` bytes or all of `body`, and the bytes behind it.

    Raises MalformedRequest where either is not as the protocol has it, or the JSON has more in it than `bounds` let.
    """
    length = len(body) if json_length is None else json_length
    if length > len(body):
        raise MalformedRequest(f"the JSON is declared to have {length:,} bytes, and {len(body):,} bytes arrived")
    return infer_request(parse_json(body[:length], bounds)), memoryview(body)[length:]


def infer_request(content: Any) -> InferRequest:
    """What plain objects say that are named as in the protocol's JSON. Raises MalformedRequest."""
    try:
        # Not from the JSON itself: pydantic makes the whole input anew for each fault that it finds in that.
        return InferRequest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise MalformedRequest(f"{place}: {first['msg']}, got {reprlib.repr(first['input'])}") from error


def read_values(tensor: InputTensor, behind: memoryview) -> Numbers | list[bytes]:
    """The values of `tensor`, from its `data` or from the bytes `behind` the JSON, in a row.

    Those of UINT8 are uint8, those of FP16, FP32 and FP64 float32, those of BYTES bytes; in JSON they are base64 text.
    As many come back as the shape says, or MalformedRequest is raised. Shape and datatype must have been looked at.
    """
    size = tensor.parameters.binary_data_size
    if (size is None) == (tensor.data is None):
        raise MalformedRequest(f"the input {tensor.name!r:.80} must have either data or the parameter binary_data_size")
    if len(behind) != (size or 0):
        raise MalformedRequest(
            f"{len(behind):,} bytes follow the JSON, and binary_data_size says {size or 0:,}; "
            "the header Inference-Header-Content-Length must be the length of the JSON"
        )
    if tensor.data is not None:
        return _from_json(tensor, _flat(tensor.data, tensor.shape))
    if tensor.datatype == BYTES:
        return _elements(behind, math.prod(tensor.shape))
    dtype: np.dtype[Any] = np.dtype(_NUMBERS[tensor.datatype])
    expected = math.prod(tensor.shape) * dtype.itemsize
    if len(behind) != expected:
        raise MalformedRequest(
            f"{len(behind):,} bytes arrived for {tensor.datatype} of shape {tensor.shape}, expected {expected:,}"
        )
    values: npt.NDArray[Any] = np.frombuffer(behind, dtype)
    if tensor.datatype == "UINT8":
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


class GivenTensor(NamedTuple):
    """An output to be sent, behind the JSON where `binary`: values are float32, or objects of type bytes, in UTF-8."""

    name: str
    values: npt.NDArray[Any]
    binary: bool


def write_answer(answer: Mapping[str, Any], tensors: Sequence[GivenTensor]) -> tuple[bytes, int | None]:
    """`answer` as JSON with `tensors` in it or behind it, in order. The JSON's length where anything is behind."""
    outputs, contents = zip(*map(_written, tensors), strict=True)
    # JSON has no word for a value that is no number.
    head = to_json({**answer, "outputs": outputs}, inf_nan_mode="null")
    if not any(tensor.binary for tensor in tensors):
        return head, None
    return head + b"".join(contents), len(head)


def datatype_of(values: npt.NDArray[Any]) -> str:
    """The protocol's name of what an output has: float32, or bytes as objects."""
    return BYTES if values.dtype == object else "FP32"


def content_of(values: npt.NDArray[Any]) -> bytes:
    """The values of an output, float32 or bytes as objects, in the protocol's binary form."""
    if datatype_of(values) == BYTES:
        return b"".join(len(value).to_bytes(_LENGTH_BYTES, "little") + value for value in values.flat)
    return values.astype("<f4").tobytes()


def _written(tensor: GivenTensor) -> tuple[dict[str, Any], bytes]:
    """What of it is in the JSON, and what behind."""
    values = tensor.values
    datatype = datatype_of(values)
    output: dict[str, Any] = {"name": tensor.name, "datatype": datatype, "shape": values.shape}
    if not tensor.binary:
        return {**output, "data": values.ravel().tolist()}, b""
    content = content_of(values)
    return {**output, "parameters": {"binary_data_size": len(content)}}, content


def _flat(data: list[Any], shape: list[int]) -> list[Any]:
    """The values of `data`, which is flat or nested as `shape` says."""
    if not data or not isinstance(data[0], list):
        flat = data
    else:
        flat = data if len(data) == shape[0] else []
        for size in shape[1:]:
            if any(type(part) is not list or len(part) != size for part in flat):
                flat = []
            flat = list(chain.from_iterable(flat))
    if len(flat) != math.prod(shape):
        raise MalformedRequest(
            f"the data is {'nested otherwise' if flat is not data else f'a list of {len(data):,}'}, and the shape "
            f"{shape} takes {math.prod(shape):,} values, flat or nested as the shape says"
        )
    return flat


def _from_json(tensor: InputTensor, flat: list[Any]) -> Numbers | list[bytes]:
    kinds = set(map(type, flat))
    if tensor.datatype == BYTES and kinds == {bytes}:  # JSON has none, but gRPC has
        return flat
    if tensor.datatype == BYTES and kinds <= {str}:
        return [decode_base64(value, f"data[{place}]") for place, value in enumerate(flat)]
    try:
        if tensor.datatype != BYTES and kinds <= ({int} if tensor.datatype == "UINT8" else {int, float}):
            with np.errstate(over="ignore"):
                values: npt.NDArray[Any] = np.array(flat, np.uint8 if tensor.datatype == "UINT8" else np.float32)
            return values
    except OverflowError as error:
        raise _no_such_values(tensor, str(error)) from error
    raise _no_such_values(tensor, ", ".join(sorted(kind.__name__ for kind in kinds)) + " arrived")


def _no_such_values(tensor: InputTensor, fault: str) -> MalformedRequest:
    expected = {"UINT8": "whole numbers from 0 to 255", BYTES: "base64 text"}.get(tensor.datatype, "numbers")
    return MalformedRequest(f"the data of {tensor.datatype} must be {expected}: {fault}")


def _elements(content: memoryview, count: int) -> list[bytes]:
    elements: list[bytes] = []
    place = 0
    while len(elements) < count:
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(content[place:start], "little")
        if max(start, place) > len(content):
            raise MalformedRequest(f"the {len(content):,} bytes of BYTES end within element {len(elements)} of {count}")
        elements.append(bytes(content[start:place]))
    if place != len(content):
        raise MalformedRequest(f"{len(content) - place:,} bytes follow the {count} elements of BYTES; expected none")
    return elements
