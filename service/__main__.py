"""The command line of the service: settings from options and environment, then uvicorn."""

import logging.config
import os
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from models.command_line import settings_of, unknown_variables
from service import platforms
from service.errors import StorageFailed, writing_temporary_files
from service.inference.desired_state import STATE_FOLDER
from service.inference.model_folder import model_files, passed_over
from service.inference.version_folders import is_version_folder
from service.logs import LOGGER, logging_configuration
from service.metrics import SHARED_FOLDER
from service.model_address import scheme_of, shown
from service.model_files.private_folder import private_folder
from service.model_files.remote.polling import polling
from service.model_files.remote.remote_model import RemoteModel, model_folder, source_of
from service.model_files.snapshot import ModelFileLimits
from service.model_files.validation.formats import check_quickly
from service.server.connection import Connection
from service.server.connection_limit import ConnectionLimit, most_connections
from service.server.early_end import ending_at_signals
from service.server.listening import AddressError, Server, bound, place_of
from service.server.port_reservation import port_reserved
from service.server.reload_signal import keep_sighup
from service.server.supervisor import Supervisor
from service.server.tls import CertificateError, Handshake, tls_context
from service.settings import LAST_CALL_S, ServiceSettings

log = logging.getLogger(LOGGER)

_GRPC_PACKAGES = ("grpc", "grpc_health", "grpc_reflection")

# uvicorn takes a worker that does not answer for so long as dead; TensorFlow's import alone can keep it busy for 6 s.
WORKER_HEALTHCHECK_S = 20


def main() -> None:
    """Run `cnn-serve` until it is stopped.

    Exits with 0 where it was told to stop, 2 for wrong settings, 3 where the model cannot be served or nobody can
    listen at the address, or with the certificate.
    """
    with ending_at_signals():
        arguments = sys.argv[1:]
        told = platforms.adopt(arguments)
        sys.argv[1:] = arguments
        settings = settings_of(ServiceSettings, sources={one.setting: one.source for one in told}, alone="--model-path")
        log_config = logging_configuration(settings.log_level, settings.log_format)
        logging.config.dictConfig(log_config)
        logging.captureWarnings(True)
        for sentence in unknown_variables(ServiceSettings):
            log.warning("%s", sentence)
        for sentence in platforms.sentences(told, settings):
            log.info("%s", sentence)
        try:
            temporary = ExitStack()
            sockets = temporary.enter_context(bound(settings.host, settings.port, settings.uds))
            settings = _with_grpc_port(settings, temporary)
            if settings.tls_certificate:
                tls_context(settings.tls_certificate, settings.tls_key)
            log.info("loading %s", shown(settings.model_path))
            remote = scheme_of(settings.model_path) is not None
            if not remote:
                _look_at_files(settings)
            folder = temporary.enter_context(private_folder("state-"))
            _use_for_temporary_files(folder, settings.workers)
            if remote:
                model = _fetched(settings, folder)
                settings = settings.model_copy(update={"model_path": str(model.path)})
                if settings.watch:
                    temporary.enter_context(polling(model, settings.watch_interval_s))
        except (AddressError, CertificateError, ModelFileError, StorageFailed) as error:
            log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
            sys.exit(STARTUP_FAILURE)
        settings.export()
    with temporary:
        place = place_of(settings.host, sockets, tls=settings.tls_certificate is not None)
        _serve(_uvicorn_config(settings, log_config), sockets, place, folder)


def _fetched(settings: ServiceSettings, folder: Path) -> RemoteModel:
    """The model at the address that the settings name. Raises ModelFileError or StorageFailed."""
    model = RemoteModel(
        source_of(settings.model_path),
        model_folder(folder),
        ModelFileLimits(settings.max_model_bytes, settings.model_sha256),
        settings.download_timeout_s,
        settings.converted_models / "fetched",
    )
    model.fetch_first()
    return model


def _with_grpc_port(settings: ServiceSettings, held: ExitStack) -> ServiceSettings:
    """The same settings with the port at which gRPC is answered, which is `held`. Raises AddressError."""
    if settings.grpc_port is None:
        return settings
    if missing := [name for name in _GRPC_PACKAGES if not find_spec(name)]:
        raise AddressError(
            f"--grpc-port {settings.grpc_port} needs packages that are not installed ({', '.join(missing)}): "
            "pip install 'keras-image-service[grpc]'"
        )
    port = held.enter_context(port_reserved(settings.host, settings.grpc_port, "--grpc-port"))
    return settings.model_copy(update={"grpc_port": port})


def _look_at_files(settings: ServiceSettings) -> None:
    """Tell most of what cannot be served before TensorFlow's seconds, and before any worker. Raises ModelFileError."""
    place = settings.model_place
    default, *_ = model_files(place, settings.default_model)
    if not place.is_dir():
        check_quickly(default)
        return
    if settings.model_name and not is_version_folder(place):
        raise ModelFileError(
            f"--model-name {settings.model_name} is of one model, and --model-path {place} is a folder of models, each "
            "named as its file; name one file"
        )
    for reason in passed_over(place):
        log.warning("%s", reason)


def _use_for_temporary_files(folder: Path, workers: int) -> None:
    """Have this process and its workers write to `folder` alone, so that nothing outlives them. Raises StorageFailed.

    What workers share lies in it, too; each reads the names as it starts.
    """
    os.environ["TMPDIR"] = tempfile.tempdir = os.environ[STATE_FOLDER] = str(folder)
    if workers > 1:
        with writing_temporary_files():
            os.environ[SHARED_FOLDER] = tempfile.mkdtemp(prefix="metrics-")


def _uvicorn_config(settings: ServiceSettings, log_config: dict[str, Any]) -> uvicorn.Config:
    return uvicorn.Config(
        "service.worker:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=log_config,
        log_level=settings.log_level,
        http=_protocol(settings),
        ws="none",
        access_log=False,
        timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type] # any number will do
        timeout_graceful_shutdown=settings.drain_timeout_s - LAST_CALL_S,  # type: ignore[arg-type] # any number will do
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        timeout_worker_healthcheck=WORKER_HEALTHCHECK_S,
    )


def _protocol(settings: ServiceSettings) -> Any:
    limit = ConnectionLimit(most_connections(settings.max_connections, settings.ways))
    connection = partial(
        Connection,
        receive_timeout_s=settings.receive_timeout_s,
        limit=limit,
        root_path=settings.root_path,
        health_route=settings.health_route,
        access_log=settings.access_log,
    )
    if not settings.tls_certificate:
        return connection
    files = settings.tls_certificate, settings.tls_key
    return partial(Handshake, files=files, made=connection, limit=limit, timeout_s=settings.receive_timeout_s)


def _serve(config: uvicorn.Config, sockets: list[socket], place: str, temporary: Path) -> None:
    if config.workers == 1:
        keep_sighup()
        # uvicorn sends itself the signal once more when everything has ended in order; that end is a success.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        with suppress(KeyboardInterrupt):
            Server(config, place, temporary).run(sockets)
        return
    supervisor = Supervisor(config, sockets, place)
    supervisor.run()
    # uvicorn's own command ends here with 0, as if the service had been told to stop.
    if supervisor.could_not_start:
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()
