"""Server reflection: which services, methods and messages there are. Knows none of them."""

from collections.abc import Iterable
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME, aio

from service.protocols.grpc.calls import Stream
from service.protocols.grpc.messages.pool import POOL


def reflection(services: Iterable[str]) -> dict[str, Stream]:
    """The method that tells of `services`, and of itself; by path."""
    servicer: Any = aio.ReflectionServicer([*services, SERVICE_NAME], pool=POOL)
    return {
        f"/{SERVICE_NAME}/ServerReflectionInfo": Stream(
            reflection_pb2.ServerReflectionRequest, servicer.ServerReflectionInfo
        )
    }
