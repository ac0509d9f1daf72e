"""TensorFlow's tensors as messages, from and to what the models here take and give. Knows no service."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.card import ImageInput
from service.errors import MalformedRequest
from service.prediction import Image
from service.protocols.grpc.messages import tensorflow_tensor_pb2 as pb

_MOST_DIMENSIONS = 8
# What is read of numbers: the field that has them one by one, and what `tensor_content` is made of.
_NUMBERS = {
    pb.DT_FLOAT: ("float_val", "<f4"),
    pb.DT_DOUBLE: ("double_val", "<f8"),
    pb.DT_UINT8: ("int_val", "u1"),
}
_READ = "DT_FLOAT or DT_DOUBLE for numbers as the model takes them, DT_UINT8 for pixels, DT_STRING for encoded images"


def images_in(tensor: pb.TensorProto, where: str, wanted: ImageInput, most_rows: int) -> Sequence[Image]:
    """1 to `most_rows` images: encoded, uint8 pixels, or float32 as the model takes them. Raises MalformedRequest."""
    shape = [dimension.size for dimension in tensor.tensor_shape.dim[:_MOST_DIMENSIONS]]
    if tensor.dtype == pb.DT_STRING:
        return _encoded(tensor, where, shape, most_rows)
    if tensor.dtype not in _NUMBERS:
        name = pb.DataType.Name(tensor.dtype) if tensor.dtype in pb.DataType.values() else f"of type {tensor.dtype}"
        raise MalformedRequest(f"{where} is {name}, expected {_READ}")
    image = [wanted.height, wanted.width, wanted.channels]
    fitting = [image, image[:2]] if wanted.channels == 1 else [image]
    if shape[1:] not in fitting:
        shapes = " or ".join(str(["n", *one]).replace("'", "") for one in fitting)
        raise MalformedRequest(f"{where} has the shape {shape}, expected {shapes}")
    _check_rows(where, shape, most_rows)
    return list(_numbers(tensor, where, math.prod(shape)).reshape(-1, *image))


def tensor_of(values: Sequence[Sequence[float]]) -> pb.TensorProto:
    """Rows of floats, (rows, values)."""
    shape = pb.TensorShapeProto(dim=[{"size": len(values)}, {"size": len(values[0])}])
    return pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape, float_val=[value for row in values for value in row])


def _encoded(tensor: pb.TensorProto, where: str, shape: list[int], most_rows: int) -> list[bytes]:
    if shape[1:] not in ([], [1]):
        raise MalformedRequest(f"{where} of DT_STRING has the shape {shape}, expected [n] or [n, 1]")
    if shape:
        _check_rows(where, shape, most_rows)
    expected = shape[0] if shape else 1
    if len(tensor.string_val) != expected:
        raise MalformedRequest(f"{where} has {len(tensor.string_val):,} string_val, and its shape says {expected:,}")
    return list(tensor.string_val)


def _check_rows(where: str, shape: list[int], most_rows: int) -> None:
    if not 1 <= shape[0] <= most_rows:
        raise MalformedRequest(f"{where} has {shape[0]:,} rows, expected 1 to {most_rows}; send several requests")


def _numbers(tensor: pb.TensorProto, where: str, expected: int) -> npt.NDArray[Any]:
    """As many values as `expected`, uint8 or float32. Of values one by one the last stands for all that are missing."""
    field, of_content = _NUMBERS[tensor.dtype]
    dtype = np.uint8 if tensor.dtype == pb.DT_UINT8 else np.float32
    if content := tensor.tensor_content:
        size = expected * np.dtype(of_content).itemsize
        if len(content) != size:
            raise MalformedRequest(
                f"{where} has {len(content):,} bytes of tensor_content, and its shape takes {size:,}"
            )
        found: npt.NDArray[Any] = np.frombuffer(content, of_content)
    else:
        found = np.array(getattr(tensor, field))
        if not 1 <= found.size <= expected:
            raise MalformedRequest(f"{where} has {found.size:,} {field}, and its shape takes {expected:,}")
        if tensor.dtype == pb.DT_UINT8 and (found.min() < 0 or found.max() > 255):
            raise MalformedRequest(f"{where} has numbers from {found.min()} to {found.max()}, expected 0 to 255")
        found = np.pad(found, (0, expected - found.size), mode="edge")
    with np.errstate(over="ignore"):
        return found.astype(dtype)
