"""The command line of the service: settings from options and environment, then uvicorn."""

import logging.config
import os
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from service.command_line import settings_of
from service.errors import StorageFailed, writing_temporary_files
from service.inference.desired_state import STATE_FOLDER
from service.inference.model_folder import model_files, passed_over
from service.logs import LOGGER, logging_configuration
from service.metrics import SHARED_FOLDER
from service.model_files.private_folder import private_folder
from service.model_files.validation.formats import check_quickly
from service.server.connection import Connection
from service.server.connection_limit import ConnectionLimit, most_connections
from service.server.early_end import ending_at_signals
from service.server.listening import AddressError, Server, bound, place_of
from service.server.reload_signal import keep_sighup
from service.server.supervisor import Supervisor
from service.server.tls import CertificateError, Handshake, tls_context
from service.settings import LAST_CALL_S, ServiceSettings

log = logging.getLogger(LOGGER)

# uvicorn takes a worker that does not answer for so long as dead; TensorFlow's import alone can keep it busy for 6 s.
WORKER_HEALTHCHECK_S = 20


def main() -> None:
    """Run `cnn-serve` until it is stopped.

    Exits with 0 where it was told to stop, 2 for wrong settings, 3 where the model cannot be served or nobody can
    listen at the address, or with the certificate.
    """
    with ending_at_signals():
        settings = settings_of(ServiceSettings)
        log_config = logging_configuration(settings.log_level, settings.log_format)
        logging.config.dictConfig(log_config)
        try:
            temporary = ExitStack()
            sockets = temporary.enter_context(bound(settings.host, settings.port, settings.uds))
            if settings.tls_certificate:
                tls_context(settings.tls_certificate, settings.tls_key)
            log.info("loading %s", settings.model_path)
            _look_at_files(settings)
            folder = temporary.enter_context(private_folder("state-"))
            _use_for_temporary_files(folder, settings.workers)
        except (AddressError, CertificateError, ModelFileError, StorageFailed) as error:
            log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
            sys.exit(STARTUP_FAILURE)
        settings.export()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with temporary:
        place = place_of(settings.host, sockets, tls=settings.tls_certificate is not None)
        _serve(_uvicorn_config(settings, log_config), sockets, place, folder)


def _look_at_files(settings: ServiceSettings) -> None:
    """Tell most of what cannot be served before TensorFlow's seconds, and before any worker. Raises ModelFileError."""
    default, *_ = model_files(settings.model_path, settings.default_model)
    if not settings.model_path.is_dir():
        check_quickly(default)
        return
    for reason in passed_over(settings.model_path):
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
    limit = ConnectionLimit(most_connections(settings.max_connections))
    connection = partial(
        Connection,
        receive_timeout_s=settings.receive_timeout_s,
        limit=limit,
        root_path=settings.root_path,
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
