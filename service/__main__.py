"""The command line of the service: settings from options and environment, then uvicorn."""

import logging.config
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from tempfile import TemporaryDirectory

import uvicorn
from pydantic import ValidationError
from uvicorn.config import STARTUP_FAILURE

from models.card import ModelFileError
from service.errors import StorageFailed, writing_temporary_files
from service.inference.desired_state import STATE_FOLDER
from service.inference.model_folder import model_files
from service.logs import LOGGER, logging_configuration
from service.metrics import SHARED_FOLDER
from service.model_files.validation.formats import check_quickly
from service.server.connection import Connection
from service.server.connection_limit import ConnectionLimit, most_connections
from service.server.reload_signal import keep_sighup
from service.server.supervisor import Supervisor
from service.settings import LAST_CALL_S, ServiceSettings, option_values_joined

# uvicorn takes a worker that does not answer for so long as dead; TensorFlow's import alone can keep it busy for 6 s.
WORKER_HEALTHCHECK_S = 20


def main() -> None:
    """Run `cnn-serve` until it is stopped. Exits with 2 for wrong settings, 3 where the model cannot be served."""
    try:
        settings = ServiceSettings(_cli_parse_args=option_values_joined(sys.argv[1:]))
    except ValidationError as error:
        text = "; ".join(
            f"--{str(part['loc'][0]).replace('_', '-')}: {part['msg']}, got {part['input']!r}"
            if part["loc"]
            else part["msg"]  # of two settings that do not go together
            for part in error.errors()
        )
        print(f"cnn-serve: {text}", file=sys.stderr)
        sys.exit(2)
    log_config = logging_configuration(settings.log_level, settings.log_format)
    logging.config.dictConfig(log_config)
    log = logging.getLogger(LOGGER)
    log.info("loading %s", settings.model_path)
    try:
        # Most files that cannot be served are told here, before TensorFlow's seconds and before any worker.
        default, *_ = model_files(settings.model_path, settings.default_model)
        check_quickly(default)
        with writing_temporary_files():
            # What workers share; each reads the names as it starts.
            state = TemporaryDirectory(prefix="state-")
            os.environ[STATE_FOLDER] = state.name
            if settings.workers > 1:
                metrics = TemporaryDirectory(prefix="metrics-")
                os.environ[SHARED_FOLDER] = metrics.name
    except (ModelFileError, StorageFailed) as error:
        log.error("%s", error)  # noqa: TRY400 - the text is for a person; a traceback would hide it
        sys.exit(STARTUP_FAILURE)
    settings.export()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    config = uvicorn.Config(
        "service.worker:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=log_config,
        log_level=settings.log_level,
        http=partial(  # type: ignore[arg-type] # it is called
            Connection,
            receive_timeout_s=settings.receive_timeout_s,
            limit=ConnectionLimit(most_connections(settings.max_connections)),
            access_log=settings.access_log,
        ),
        ws="none",
        access_log=False,
        timeout_graceful_shutdown=settings.drain_timeout_s - LAST_CALL_S,  # type: ignore[arg-type] # any number will do
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        timeout_worker_healthcheck=WORKER_HEALTHCHECK_S,
    )
    if settings.workers == 1:
        keep_sighup()
        # uvicorn sends itself the signal once more when everything has ended in order; that end is a success.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run()
        return
    supervisor = Supervisor(config, [config.bind_socket()])
    supervisor.run()
    # uvicorn's own command ends here with 0, as if the service had been told to stop.
    if supervisor.could_not_start:
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()
