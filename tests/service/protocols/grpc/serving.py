"""A running service that answers gRPC beside HTTP, and what its clients ask in these tests."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tritonclient.grpc as triton

from service.protocols.grpc.messages import open_inference_pb2 as pb
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT

MODEL = "best-cnn-model"
INFERENCE = "/inference.GRPCInferenceService"
_PLACE = re.compile(r"gRPC is answered at (\S+)")


@contextmanager
def running_grpc(*options: object, **environment: str) -> Iterator[tuple[Service, str]]:
    """The service, and the address at which it answers gRPC."""
    with running_service("--grpc-port", 0, *options, **environment) as service:
        yield service, address_of(service)


def address_of(service: Service) -> str:
    found = _PLACE.search(service.log)
    assert found, service.log
    return found[1]


def encoded_input(*pictures: bytes) -> Any:
    """Triton's own input of encoded pictures."""
    tensor = triton.InferInput("input", [len(pictures)], "BYTES")
    tensor.set_data_from_numpy(np.array(pictures, object))
    return tensor


def infer_request(*pictures: bytes, **more: Any) -> pb.ModelInferRequest:
    """A question by hand, about an ankle boot where nothing else is given."""
    given = pictures or (ANKLE_BOOT.read_bytes(),)
    tensor = {"name": "input", "datatype": "BYTES", "shape": [len(given)], "contents": {"bytes_contents": given}}
    return pb.ModelInferRequest(**{"model_name": MODEL, "inputs": [tensor]} | more)


def infer(channel: Any) -> Any:
    """The bare method, to be called with a message."""
    return channel.unary_unary(
        f"{INFERENCE}/ModelInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )


def wait_until_begun(channel: Any) -> None:
    """Return once the service has begun with all calls that were sent on this channel: one after them is answered."""
    channel.unary_unary(f"{INFERENCE}/ServerLive")(b"")
