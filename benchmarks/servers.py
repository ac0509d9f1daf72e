"""The programs that are compared: how each is started, asked and stopped, and how much memory it holds."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.load import BodyLimits, first_answer

ROOT = Path(__file__).parent.parent
PEERS_BIN = ROOT / ".venv-peers" / "bin"
_OWN_PYTHON, _PEERS_PYTHON = sys.executable, str(PEERS_BIN / "python")
_START_S = 120
_STOP_S = 20


@dataclass(frozen=True)
class Endpoint:
    """One way to ask a program: its rows in the table."""

    name: str
    path: str
    field: str | None = None  # of a multipart form; without it the image is the body
    images: int = 1
    connections: tuple[int, ...] = (1, 32, 128)


@dataclass(frozen=True)
class Program:
    """A server; PORT in its command stands for a free port."""

    name: str
    command: tuple[str, ...]
    doors: tuple[Endpoint, ...]
    answers: str = "Ankle boot"  # what stands in a right answer to the first body


SERVICE = Program(
    "this service",
    (_OWN_PYTHON, "-m", "service", "--port", "PORT", "--log-level", "warning"),
    (
        Endpoint("this service, raw", "/predict"),
        Endpoint("this service, multipart", "/predict", "file"),
        Endpoint(
            "this service, 64 in one", "/predict/batch", "files", 64, connections=(1, 2, 4)
        ),  # 4 × 64 fit the queue
    ),
)
SERVICE_TENSORFLOW = Program(
    "this service, TensorFlow",
    (*SERVICE.command, "--engine", "tensorflow"),
    (Endpoint("this service with TensorFlow, raw", "/predict"),),
)
FLOOR = Program(
    "floor",
    (_OWN_PYTHON, "-m", "benchmarks.apps.floor", "PORT"),
    (
        Endpoint("floor, raw", "/usual/raw"),
        Endpoint("floor, multipart", "/usual/multipart", "file"),
        Endpoint("own fast path, raw", "/short"),
        Endpoint("own fast path, multipart", "/short", "file"),
    ),
)
MOSEC = Program(
    "mosec",
    (_PEERS_PYTHON, "-m", "benchmarks.apps.mosec_app", "--address", "127.0.0.1", "--port", "PORT"),
    (Endpoint("mosec, raw", "/inference"),),
)
MOSEC_LIGHT = Program(
    "mosec, light engine",
    ("env", "ENGINE=light", *MOSEC.command),
    (Endpoint("mosec with the light engine, raw", "/inference"),),
)
LITSERVE = Program(
    "LitServe",
    (_PEERS_PYTHON, "-m", "benchmarks.apps.litserve_app", "PORT"),
    (Endpoint("LitServe, multipart", "/predict", "file"),),
)
BENTOML = Program(
    "BentoML",
    (str(PEERS_BIN / "bentoml"), "serve", "benchmarks.apps.bentoml_app:Classify", "--host", "127.0.0.1",
     "--port", "PORT"),
    (Endpoint("BentoML, multipart", "/predict", "files"),),
)  # fmt: skip
TUTORIAL = Program(
    "model.predict in a route",
    (_OWN_PYTHON, "-m", "benchmarks.apps.tutorial", "PORT"),
    (Endpoint("model.predict in a route", "/predict", "file"),),
)
PROGRAMS = (SERVICE, SERVICE_TENSORFLOW, FLOOR, MOSEC, MOSEC_LIGHT, LITSERVE, BENTOML, TUTORIAL)


@dataclass(frozen=True)
class Running:
    """A started program: where it answers, how long it took to, and what it holds."""

    url: str
    seconds_to_ready: float
    process: psutil.Process

    def memory_mb(self) -> float:
        """Megabytes of it and of all its processes; what several share is divided among them (PSS)."""
        total = 0
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / 1e6

    def cpu_s(self) -> float:
        """Seconds of processor time that it and all its processes took so far."""
        total = 0.0
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def started(program: Program, bodies: BodyLimits) -> Iterator[Running]:
    """`program`, from its start to its end; ready is when it gives the first right answer. Raises RuntimeError."""
    port = free_port()
    begun = time.monotonic()
    process = _start([part.replace("PORT", str(port)) for part in program.command])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_right(program, url + program.doors[0].path, bodies, process)
        yield Running(url, time.monotonic() - begun, psutil.Process(process.pid))
    finally:
        _stop(process)


def tensorflow_alone() -> tuple[float, float]:
    """Seconds and megabytes that `import tensorflow` takes by itself: no server starts faster or holds less."""
    begun = time.monotonic()
    process = _start(
        [_OWN_PYTHON, "-c", "import tensorflow, sys; print(flush=True); sys.stdin.read()"], subprocess.PIPE
    )
    try:
        _ = process.stdout and process.stdout.readline()
        return time.monotonic() - begun, psutil.Process(process.pid).memory_full_info().pss / 1e6
    finally:
        _stop(process)


def function_alone() -> float:
    """Images a second that the light engine does by itself, at batches of 64."""
    process = _start(["env", "ENGINE=light", _OWN_PYTHON, "-m", "benchmarks.apps.function"], subprocess.PIPE)
    output, _ = process.communicate()
    return float(output)


def _start(command: list[str], stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", "BENTOML_DO_NOT_TRACK": "1"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_until_right(program: Program, url: str, bodies: BodyLimits, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            answer = first_answer(url, bodies, _START_S)
            if answer.status_code == httpx.codes.OK:
                if program.answers not in answer.text:
                    raise RuntimeError(f"{program.name} answers no {program.answers}: {answer.text[:200]}")
                return
        time.sleep(0.02)
    raise RuntimeError(f"{program.name} did not answer within {_START_S} s of its start")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started: each is a process group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
