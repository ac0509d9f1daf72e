"""`grpc.health.v1`: whether the service, or one of its models, takes images. Knows no other protocol."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

from grpc_health.v1 import health_pb2

from service.errors import MalformedRequest, NotFound
from service.inference.repository import ModelRepository
from service.protocols.grpc.calls import Call, Method, Stream, methods_of

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"]
_WATCH_EVERY_S = 0.5
_Answer = health_pb2.HealthCheckResponse


class Health:
    """What is said of the service by no name and by the names of `services`, and of models by theirs.

    The names of models are for those alone who have a key, as over HTTP.
    """

    def __init__(self, repository: ModelRepository, services: Collection[str]) -> None:
        self._repository, self._services = repository, services

    def methods(self) -> dict[str, Method | Stream]:
        """Its methods, by path."""
        return {
            **methods_of(SERVICE, {"Check": self.check}, open_to_all=("Check",)),
            f"/{SERVICE.full_name}/Watch": Stream(health_pb2.HealthCheckRequest, self.watch),
        }

    async def check(self, request: Any, call: Call) -> Any:
        """SERVING or NOT_SERVING. Raises NotFound, which lists the models there are."""
        if request.service not in self._services:
            call.admit()
        return _Answer(status=self._status(request.service))

    async def watch(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        """The same as soon as asked, and whenever it changes; SERVICE_UNKNOWN of a model that is not loaded."""
        request = await anext(requests, None)
        if request is None:
            raise MalformedRequest("the call has no message, expected one")
        if request.service not in self._services:
            call.admit()
        last = None
        while True:
            try:
                status = self._status(request.service)
            except NotFound:
                status = _Answer.SERVICE_UNKNOWN
            if status != last:
                yield _Answer(status=status)
                last = status
            await asyncio.sleep(_WATCH_EVERY_S)

    def _status(self, name: str) -> int:
        known = self._repository.default if name in self._services else self._repository.named(name)
        status: int = _Answer.SERVING if known.current.ready else _Answer.NOT_SERVING
        return status
