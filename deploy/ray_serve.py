"""The service under Ray Serve, as two replicas: `serve run deploy.ray_serve:service`. See docs/ray.md."""

import logging.config
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

from ray import serve
from starlette.types import ASGIApp

from service.model_address import scheme_of, shown
from service.settings import ServiceSettings

_kept = ExitStack()


def application() -> ASGIApp:
    """What one replica answers with; made in its own process."""
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(mode=0o700, exist_ok=True)  # on another machine there is none
    from service.inference.desired_state import STATE_FOLDER  # noqa: PLC0415 - metrics need that folder
    from service.logs import logging_configuration  # noqa: PLC0415
    from service.model_files.private_folder import private_folder  # noqa: PLC0415
    from service.worker import from_environment  # noqa: PLC0415

    settings = ServiceSettings()
    logging.config.dictConfig(logging_configuration(settings.log_level, settings.log_format))
    os.environ[STATE_FOLDER] = str(_kept.enter_context(private_folder("state-")))
    return from_environment()


settings = ServiceSettings()
if scheme_of(settings.model_path):
    raise ValueError(f"{shown(settings.model_path)} is an address; fetch it, and name a file of each machine")
environment = {name: value for name, value in os.environ.items() if name.startswith("SERVICE_")} | {
    "SERVICE_MODEL_PATH": str(settings.model_place.resolve()),
    # A call to load or unload a model would reach one replica of several.
    "SERVICE_REPLICATED": "true",
    # Of the replicas on one machine, whichever is asked for /metrics adds up all.
    "PROMETHEUS_MULTIPROC_DIR": mkdtemp(prefix="metrics-"),
}
deployment = serve.deployment(
    serve.ingress(application)(),
    name="keras-image-service",
    num_replicas=2,
    max_ongoing_requests=settings.max_queue_size,  # Ray's own 5 would bound a batch
    max_queued_requests=settings.max_queue_size,  # past it Ray answers 503
    graceful_shutdown_timeout_s=settings.drain_timeout_s,
    ray_actor_options={"num_cpus": 1, "runtime_env": {"env_vars": environment}},
)
service = deployment.bind()
