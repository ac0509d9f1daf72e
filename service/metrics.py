"""What is counted and timed, under the names that Prometheus reads. Knows neither HTTP nor Keras.

With several workers each writes its own files in the folder that PROMETHEUS_MULTIPROC_DIR names, and whichever of them
is asked adds them up.
"""

import os
import re
from collections import Counter as Users
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from models.printable import printable

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Set for a worker that takes another one's place.
REPLACEMENT = "SERVICE_WORKER_IS_REPLACEMENT"

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_BY_MODEL = {"keras_service_predictions", "keras_service_out_of_distribution", "keras_service_confidence"}
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

REQUESTS = Counter("keras_service_requests", "Requests answered", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "keras_service_request_duration_seconds",
    "From a request's head to the end of its answer",
    ["route"],
    buckets=_SECONDS,
)
REJECTED = Counter("keras_service_rejected", "Requests and images refused, by the code of the error", ["reason"])
QUEUE_WAIT_SECONDS = Histogram(
    "keras_service_queue_wait_seconds",
    "How long the first image of each forward pass waited",
    buckets=_SECONDS,
)
INFERENCE_SECONDS = Histogram("keras_service_inference_seconds", "How long a forward pass took", buckets=_SECONDS)
BATCH_SIZE = Histogram("keras_service_batch_size", "Images in one forward pass", buckets=_ROWS)
QUEUE_DEPTH = Gauge("keras_service_queue_depth", "Images that wait for the model", multiprocess_mode="livesum")
PREDICTED = Counter("keras_service_predictions", "Images answered, by the most probable class", ["model", "label"])
OUT_OF_DISTRIBUTION = Counter(
    "keras_service_out_of_distribution", "Images less familiar than 98 of 100 validation images", ["model"]
)
CONFIDENCE = Summary("keras_service_confidence", "How probable the most probable class of each image is", ["model"])
WORKER_RESTARTS = Counter("keras_service_worker_restarts", "Workers that took the place of one that ended")
MODEL_RELOADS = Counter("keras_service_model_reloads", "New model files, loaded or refused", ["outcome"])
LOADED = Gauge("keras_service_model_load_seconds", "How long loading and warming took", multiprocess_mode="livemax")
DEVICE_MEMORY = Gauge(
    "keras_service_device_memory_bytes", "The GPU's memory that is in use", multiprocess_mode="livesum"
)


def count_request(route: str, status: int, seconds: float) -> None:
    """Count one that was answered with an HTTP status, whose head came `seconds` before its answer's end."""
    count, time_taken = _request_counters(route, status)
    count.inc()
    time_taken.observe(seconds)


@cache
def _request_counters(route: str, status: int) -> tuple[Counter, Histogram]:
    # Both have few values; to look a metric up by its labels takes longer than to count.
    return REQUESTS.labels(route, status), REQUEST_SECONDS.labels(route)


class ModelsInMemory:
    """Keeps the series of models to those that are in memory, however many come and go.

    Of several workers the one that is asked tells what it has itself.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str, str], bool] = {}
        self._users: Users[tuple[str, str | None]] = Users()

    def announce(self, name: str, version: str, device: str, *, answers: bool) -> None:
        """Tell of a version that it is in memory, and whether it is the one that answers."""
        self._answers[printable(name), version, device] = answers

    def withdraw(self, name: str, version: str, device: str) -> None:
        """Tell of it no longer."""
        self._answers.pop((printable(name), version, device), None)

    def use(self, name: str, class_names: Iterable[str]) -> tuple[list[Counter], Counter, Summary]:
        """What counts the answers with each class, out-of-distribution images, and confidence; shown until all `leave`.

        The summary takes one probability, 0 to 1, for each image, so that it also counts the images.
        """
        name, labels = printable(name), list(map(printable, class_names))
        self._users.update((name, label) for label in (None, *labels))
        predicted = [PREDICTED.labels(name, label) for label in labels]
        return predicted, OUT_OF_DISTRIBUTION.labels(name), CONFIDENCE.labels(name)

    def leave(self, name: str, class_names: Iterable[str]) -> None:
        """Show them no longer, unless another one uses them still."""
        name = printable(name)
        for label in (None, *map(printable, class_names)):
            self._users[name, label] -= 1
            if self._users[name, label] > 0:
                continue
            del self._users[name, label]
            if SHARED_FOLDER not in os.environ:  # from the shared files nothing can be removed; `shown` leaves it out
                with suppress(KeyError):
                    if label is not None:
                        PREDICTED.remove(name, label)
                    else:
                        OUT_OF_DISTRIBUTION.remove(name)
                        CONFIDENCE.remove(name)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus's library asks for."""
        info = GaugeMetricFamily(
            "keras_service_model_info",
            "1 for the version that answers, 0 for earlier ones that are kept",
            labels=["name", "version", "device"],
        )
        for labels, answers in sorted(self._answers.items()):
            info.add_metric(labels, float(answers))
        yield info

    def shown(self, metrics: Iterable[Metric]) -> Iterator[Metric]:
        """`metrics` without the counts of models and classes that nobody uses."""
        for metric in metrics:
            if metric.name in _BY_MODEL:
                metric.samples = [
                    sample
                    for sample in metric.samples
                    if (sample.labels["model"], sample.labels.get("label")) in self._users
                ]
            yield metric


MODELS = ModelsInMemory()
REGISTRY.register(MODELS)


class _AllWorkers:
    def collect(self) -> Iterator[Metric]:
        yield from MODELS.shown(MultiProcessCollector(None).collect())  # type: ignore[no-untyped-call]
        yield from MODELS.collect()


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
    return generate_latest(_AllWorkers())


def _forget_dead_workers(folder: Path) -> None:
    """What a worker counted stays; what it said of its own state goes with it."""
    for file in folder.glob("gauge_live*.db"):
        if (found := re.search(r"_(\d+)\.db$", file.name)) and not Path(f"/proc/{found[1]}").exists():
            mark_process_dead(int(found[1]), str(folder))  # type: ignore[no-untyped-call]
