"""The gRPC server of one process, on the event loop that answers HTTP too. Knows no protocol's messages."""

import asyncio
import logging
import time

import grpc

from service.context import Context
from service.http.auth import ApiKeys
from service.logs import LOGGER
from service.protocols.grpc.calls import Calls
from service.protocols.grpc.health import SERVICE as HEALTH
from service.protocols.grpc.health import Health
from service.protocols.grpc.open_inference import SERVICE as OPEN_INFERENCE
from service.protocols.grpc.open_inference import OpenInference
from service.protocols.grpc.receiving import Receiving
from service.protocols.grpc.reflection import reflection
from service.protocols.grpc.tensorflow_serving import MODEL, PREDICTION, TensorFlowServing
from service.server.connection_limit import most_connections
from service.settings import LAST_CALL_S, ServiceSettings, seconds_for

log = logging.getLogger(LOGGER)

_METADATA_BYTES = 16_384
_PING_EVERY_S = 60
# At the end, for calls that still come.
_MOST_LOOKS, _QUIET_LOOKS, _LOOK_EVERY_S = 25, 5, 0.02


class GrpcServer:
    """Listens beside other workers at one port, from `start` to `stop`."""

    def __init__(self, context: Context, keys: ApiKeys | None, name: str, version: str) -> None:
        """`name` and `version` are what the service says of itself."""
        settings = context.settings
        most = most_connections(settings.max_connections, settings.ways)
        answering = [service.full_name for service in (OPEN_INFERENCE, PREDICTION, MODEL)]
        methods = {
            **OpenInference(context, name, version).methods(),
            **TensorFlowServing(context).methods(),
            **Health(context.prediction.repository, {"", *answering}).methods(),
            **reflection([*answering, HEALTH.full_name]),
        }
        self._calls = Calls(
            methods,
            keys,
            Receiving(
                seconds_for(settings.receive_timeout_s, settings.max_body_bytes),
                max(1, settings.max_waiting_bytes // settings.max_body_bytes),
            ),
            most,
            settings.max_images_per_request,
            access_log=settings.access_log,
        )
        self._settings = settings
        self._server = grpc.aio.server(options=_options(settings, most))
        self._server.add_generic_rpc_handlers((self._calls,))
        self._stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises RuntimeError where the port cannot be had."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host or "0.0.0.0"  # noqa: S104 - as HTTP
        place = f"{host}:{settings.grpc_port}"
        if settings.tls_certificate:
            certificate = settings.tls_certificate.read_bytes()
            key = settings.tls_key.read_bytes() if settings.tls_key else certificate
            self._server.add_secure_port(place, grpc.ssl_server_credentials([(key, certificate)]))
        else:
            self._server.add_insecure_port(place)
        await self._server.start()
        log.info("gRPC is answered at %s", place)

    def begin_to_stop(self) -> None:
        """Take no call from now on; those that came are answered, as long as a graceful shutdown may take."""
        if not self._stopping:
            self._stopping = asyncio.create_task(self._stop())

    async def stop(self) -> None:
        """The same, and wait until all of them are answered."""
        self.begin_to_stop()
        if self._stopping:
            await self._stopping

    async def _stop(self) -> None:
        until = time.monotonic() + self._settings.drain_timeout_s - LAST_CALL_S
        # gRPC breaks off what came and was not begun when it stops. Clients that are not answered send no more, so that
        # all of it is begun soon; they learn of the end before they have their answers.
        with self._calls.held():
            quiet, looks = 0, 0
            while quiet < _QUIET_LOOKS and looks < _MOST_LOOKS:
                before = self._calls.begun
                await asyncio.sleep(_LOOK_EVERY_S)
                quiet, looks = quiet + 1 if self._calls.begun == before else 0, looks + 1
            stopped = asyncio.create_task(self._server.stop(until - time.monotonic()))
            await asyncio.sleep(_LOOK_EVERY_S)
        await stopped


def _options(settings: ServiceSettings, most: int) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 1),  # each worker listens
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
        ("grpc.max_concurrent_streams", most),
        ("grpc.max_allowed_incoming_connections", most),
        ("grpc.max_connection_idle_ms", int(settings.keep_alive_s * 1000)),
        ("grpc.server_handshake_timeout_ms", int(settings.receive_timeout_s * 1000)),
        ("grpc.keepalive_time_ms", _PING_EVERY_S * 1000),  # who does not answer has gone
        ("grpc.keepalive_timeout_ms", int(settings.receive_timeout_s * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000 * _PING_EVERY_S // 4),
    ]
