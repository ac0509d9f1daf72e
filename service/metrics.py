"""What is counted and timed, under the names that Prometheus reads. Knows neither HTTP nor Keras.

With several workers each writes its own files in the folder that PROMETHEUS_MULTIPROC_DIR names, and whichever of them
is asked adds them up.
"""

import os
import re
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

REQUESTS = Counter("service_requests", "Requests answered", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "service_request_duration_seconds", "From a request's head to the end of its answer", ["route"], buckets=_SECONDS
)
REJECTED = Counter("service_rejected", "Requests and pictures refused, by the error that they were told", ["reason"])
QUEUE_SECONDS = Histogram(
    "service_queue_seconds",
    "How long the first picture of each call of the network waited",
    buckets=_SECONDS,
)
NETWORK_SECONDS = Histogram("service_network_seconds", "How long a call of the network took", buckets=_SECONDS)
BATCH_PICTURES = Histogram("service_batch_pictures", "Pictures in one call of the network", buckets=_ROWS)
WAITING = Gauge("service_waiting_pictures", "Pictures that wait for the network", multiprocess_mode="livesum")
PREDICTED = Counter("service_predictions", "Pictures answered, by the most probable class", ["model", "label"])
UNFAMILIAR = Counter("service_unfamiliar", "Pictures less familiar than 98 of 100 validation pictures", ["model"])
MODEL = Gauge(
    "service_model_info",
    "1 for what answers, 0 for what did",
    ["name", "version", "device"],
    multiprocess_mode="livemax",
)
TAKEOVERS = Counter("service_takeovers", "New model files, taken or refused", ["outcome"])
LOADED = Gauge("service_model_load_seconds", "How long loading and warming took", multiprocess_mode="livemax")
DEVICE_MEMORY = Gauge("service_device_memory_bytes", "The GPU's memory that is in use", multiprocess_mode="livesum")


def reserve_storage() -> None:
    """Take up now what this process's metrics need of their folder. Raises OSError where there is no room.

    The files are mapped into memory: a process that writes where no room is left is killed for it.
    """
    if folder := os.environ.get(SHARED_FOLDER):
        for path in Path(folder).glob(f"*_{os.getpid()}.db"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def exposition() -> bytes:
    """All metrics in Prometheus's text format, of all workers."""
    if SHARED_FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    _forget_dead_workers(Path(os.environ[SHARED_FOLDER]))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_dead_workers(folder: Path) -> None:
    """What a worker counted stays; what it said of its own state goes with it."""
    for file in folder.glob("gauge_live*.db"):
        if (found := re.search(r"_(\d+)\.db$", file.name)) and not Path(f"/proc/{found[1]}").exists():
            mark_process_dead(int(found[1]), str(folder))  # type: ignore[no-untyped-call]
