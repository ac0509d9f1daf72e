"""What every gRPC call passes on its way in and out: its key, its message, its time, its error. Knows no method."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from models.image_errors import ImageError
from service.errors import STOPPING, MalformedRequest, NotReady, Overloaded, ServiceError
from service.http.auth import ApiKeys, key_in
from service.http.problems import CLIENT_CLOSED_REQUEST, count_rejection, status_of
from service.http.request_ids import RequestIds
from service.inference.model_runner import ModelRunner
from service.logs import LOGGER, REFUSAL, REQUEST_ID, log_answer
from service.metrics import count_request
from service.protocols.grpc.bounds import ensure_few_fields
from service.protocols.grpc.receiving import Receiving
from service.protocols.grpc.status import UnknownMethod, told

log = logging.getLogger(LOGGER)

_OK = 200
_UNKNOWN = "other"


class Call(NamedTuple):
    """A call as its method sees it; `size` is that of its message in bytes."""

    context: Any
    admit: Callable[[], None]
    """Lets the caller in where the service knows its key. Raises Unauthorized or TooManyRequests."""
    size: int = 0

    def deadline(self, runner: ModelRunner) -> float:
        """Until when, of `time.monotonic()`, it is to be answered: the client's own deadline, or the service's."""
        remaining = self.context.time_remaining()
        deadline = runner.deadline()
        return deadline if remaining is None else min(deadline, time.monotonic() + remaining)

    async def left(self) -> None:
        """Never returns: who leaves has the call cancelled."""
        await asyncio.get_running_loop().create_future()


class Method(NamedTuple):
    """One message is answered by one: by what is raised, too."""

    request: type[Message]
    answer: Callable[[Any, Call], Awaitable[Message]]
    needs_key: bool


class Stream(NamedTuple):
    """Messages are answered by others, for as long as both sides like. No key is needed, unless it asks for one."""

    request: type[Message]
    answers: Callable[[AsyncIterator[Any], Call], AsyncIterator[Message]]


def methods_of(
    service: ServiceDescriptor,
    answers: Mapping[str, Callable[[Any, Call], Awaitable[Message]]],
    open_to_all: Collection[str] = (),
) -> dict[str, Method | Stream]:
    """The methods of `service`, by path; those that are `open_to_all` need no key."""
    return {
        f"/{service.full_name}/{name}": Method(
            GetMessageClass(service.methods_by_name[name].input_type), answer, name not in open_to_all
        )
        for name, answer in answers.items()
    }


class Calls(grpc.GenericRpcHandler):
    """All calls of one server."""

    def __init__(
        self,
        methods: Mapping[str, Method | Stream],
        keys: ApiKeys | None,
        receiving: Receiving,
        most_calls: int,
        most_images: int,
        *,
        access_log: bool,
    ) -> None:
        """At most `most_calls` that need a key are answered at once, each with `most_images` in its message."""
        self._methods, self._keys, self._receiving = methods, keys, receiving
        self._most_calls, self._most_images = most_calls, most_images
        self._access_log = access_log
        self._ids = RequestIds()
        self._running = 0
        self.begun = 0
        """How many calls have begun in all."""
        self._streams: set[asyncio.Task[Any]] = set()
        self._held: asyncio.Event | None = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """What answers the call, whose message was not read yet."""
        self.begun += 1
        path = handler_call_details.method
        method = self._methods.get(path)
        metadata = dict(handler_call_details.invocation_metadata)
        run = partial(self._run, path, method, metadata, time.perf_counter())
        if isinstance(method, Stream):
            return grpc.stream_stream_rpc_method_handler(run)
        return grpc.stream_unary_rpc_method_handler(run)  # on the wire as one that takes a single message

    @contextmanager
    def held(self) -> Iterator[None]:
        """Begin with no call while this lasts, and with those that came in it afterwards.

        What goes on for as long as its client likes is ended, and is not begun any more.
        """
        self._held = asyncio.Event()
        for task in self._streams:
            task.cancel()
        yield
        self._held.set()

    async def _run(
        self,
        path: str,
        method: Method | Stream | None,
        metadata: Mapping[str, str | bytes],
        started: float,
        _: AsyncIterator[bytes],
        context: Any,
    ) -> bytes | None:
        request_id = self._ids.of(_header(metadata, "x-request-id"))
        REQUEST_ID.set(request_id.decode())
        REFUSAL.set(None)
        own = (("x-request-id", request_id.decode()),)
        status, code = CLIENT_CLOSED_REQUEST, grpc.StatusCode.CANCELLED  # unless it comes to an end
        call = Call(context, partial(self._admit, metadata))
        try:
            content = await self._answered(path, method, call)
        except Exception as error:
            status = status_of(error)
            count_rejection(error)
            if not isinstance(error, (ServiceError, ImageError)):
                log.exception("%s failed", path)
            code, text, more = told(error)
        else:
            status, code = _OK, grpc.StatusCode.OK
            context.set_trailing_metadata(own)
            return content
        finally:
            self._count(path if method else _UNKNOWN, path, status, code, time.perf_counter() - started)
        # Not where the error is handled: what aborts would hold it, and so the message, until garbage is collected.
        await context.abort(code, text, own + more)  # which raises
        return None

    async def _answered(self, path: str, method: Method | Stream | None, call: Call) -> bytes | None:
        if self._held:
            if isinstance(method, Stream):
                raise NotReady(STOPPING)
            await self._held.wait()
        if method is None:
            raise UnknownMethod(f"there is no method {path!r:.200}; there are {', '.join(self._methods)}")
        if isinstance(method, Stream):
            if len(self._streams) >= self._most_calls:
                raise self._too_many()
            await self._stream(method, call)
            return None
        if not method.needs_key:
            return await self._one(method, call)
        call.admit()
        if self._running >= self._most_calls:
            raise self._too_many()
        self._running += 1
        try:
            return await self._one(method, call)
        finally:
            self._running -= 1

    def _too_many(self) -> Overloaded:
        return Overloaded(
            f"{self._most_calls:,} calls are answered at present, as many as may (--max-connections); send the "
            "request again later"
        )

    async def _one(self, method: Method, call: Call) -> bytes:
        content = await self._receiving.message(call.context)
        answer = await method.answer(self._parsed(method.request, content), call._replace(size=len(content)))
        return answer.SerializeToString()

    async def _stream(self, method: Stream, call: Call) -> None:
        async def requests() -> AsyncIterator[Message]:
            while (content := await call.context.read()) is not grpc.aio.EOF:
                yield self._parsed(method.request, content)

        task = asyncio.current_task()
        assert task  # noqa: S101 - for mypy: this runs in one
        self._streams.add(task)
        try:
            async for answer in method.answers(requests(), call):
                await call.context.write(answer.SerializeToString())
        except asyncio.CancelledError:
            if not self._held:
                raise  # the client has left
            task.uncancel()
            raise NotReady(STOPPING) from None
        finally:
            self._streams.discard(task)

    def _parsed(self, kind: type[Message], content: bytes) -> Message:
        ensure_few_fields(content, kind.DESCRIPTOR, self._most_images)
        try:
            return kind.FromString(content)
        except DecodeError as error:
            raise MalformedRequest(
                f"the {len(content):,} bytes of the message are no {kind.DESCRIPTOR.full_name}: {error}"
            ) from error

    def _admit(self, metadata: Mapping[str, str | bytes]) -> None:
        if self._keys:
            self._keys.admit(key_in(_header(metadata, "x-api-key"), _header(metadata, "authorization")))

    def _count(self, route: str, path: str, status: int, code: grpc.StatusCode, seconds: float) -> None:
        count_request(route, status, seconds)
        refusal = REFUSAL.get()
        if refusal or self._access_log:
            log_answer(
                f"gRPC {path} {code.name}",
                refusal,
                access_log=self._access_log,
                extra={"route": route, "status": status, "seconds": round(seconds, 6)},
                in_ms=seconds * 1000,
            )


def _header(metadata: Mapping[str, str | bytes], name: str) -> bytes | None:
    value = metadata.get(name)
    return value.encode() if isinstance(value, str) else value
