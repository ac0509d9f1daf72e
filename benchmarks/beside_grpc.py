"""gRPC beside HTTP on one running service: the same picture by each way in turn, and what either does to the other.

Run by `make bench`, and by itself: python -m benchmarks.beside_grpc [--seconds 4] [--rounds 3]
"""

import csv
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import grpc
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks import load, servers
from benchmarks.servers import free_port
from service.protocols.grpc.messages import open_inference_pb2 as pb

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_MODEL = "best-cnn-model"
_PICTURE = servers.ROOT / "tests" / "fashion-mnist-sample" / "9-ankle-boot-00000.png"
_CONNECTIONS = (1, 32, 128)
_WARM_UP_S = 1


class GrpcBenchmarkSettings(BaseSettings):
    """Measure gRPC beside HTTP on this machine."""

    model_config = SettingsConfigDict(cli_prog_name="python -m benchmarks.beside_grpc", cli_kebab_case=True)

    seconds: Annotated[int, Field(ge=1, description="how long each row is measured")] = 4
    rounds: Annotated[int, Field(ge=1, description="how often all is measured, in turn; medians are shown")] = 3


@dataclass(frozen=True)
class Way:
    """One way to ask about the picture: a name, a URL, a body, and what h2load is told beside them."""

    name: str
    url: str
    body: Path
    options: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What one run found: requests/s, milliseconds, and microseconds of the service's processor time a request."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def main() -> None:
    """Run it all. Exits with 1 where a tool is missing, or an answer is not the right one."""
    settings = GrpcBenchmarkSettings(_cli_parse_args=True)
    try:
        load.check_tools()
        with tempfile.TemporaryDirectory() as folder:
            measure(settings, Path(folder), Console(highlight=False, width=110))
    except (load.ToolMissing, RuntimeError) as error:
        print(f"benchmarks.beside_grpc: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def measure(settings: GrpcBenchmarkSettings, folder: Path, console: Console) -> None:
    """Print the tables. Raises RuntimeError."""
    grpc_port = free_port()
    program = servers.Program(
        "this service", (*servers.SERVICE.command, "--grpc-port", str(grpc_port)), servers.SERVICE.doors
    )
    bodies = load.write_bodies(folder / "bodies", [_PICTURE], None)
    with servers.started(program, bodies) as running:
        ways = _ways(running.url, f"127.0.0.1:{grpc_port}", bodies.first, folder)
        console.print(_in_turn(settings, running, ways, folder))
        console.print(_beside(settings, running, ways, folder))


def _in_turn(settings: GrpcBenchmarkSettings, running: servers.Running, ways: list[Way], folder: Path) -> Table:
    table = Table(title="The same picture by each way in turn", title_justify="left")
    for name in ("", "connections", "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "CPU / that of /predict"):
        table.add_column(name, justify="right" if name else "left")
    for connections in _CONNECTIONS:
        rounds: dict[str, list[Found]] = {way.name: [] for way in ways}
        for way in ways:
            drive(way, connections, _WARM_UP_S, running, folder)
        for _ in range(settings.rounds):
            for way in ways:
                rounds[way.name].append(drive(way, connections, settings.seconds, running, folder))
        first = ways[0].name
        for name, found in rounds.items():
            # Within each round, since the machine is not as fast in one as in another.
            ratios = [one.cpu_us / other.cpu_us for one, other in zip(found, rounds[first], strict=True)]
            table.add_row(name, str(connections), *_cells(found), f"{median(ratios):.2f}")
    return table


def _beside(settings: GrpcBenchmarkSettings, running: servers.Running, ways: list[Way], folder: Path) -> Table:
    """`/predict` on 8 connections, while 32 others ask by each way."""
    table = Table(title="/predict on 8 connections, beside 32 connections of …", title_justify="left")
    for name in ("", "requests/s", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right" if name else "left")
    rounds: dict[str, list[Found]] = {way.name: [] for way in ways}
    for _ in range(settings.rounds):
        for way in ways:
            other = _start(way, 32, settings.seconds + 1, folder / "other")
            rounds[way.name].append(drive(ways[0], 8, settings.seconds, running, folder))
            other.communicate()
    for name, found in rounds.items():
        table.add_row(name, *_cells(found)[:3])
    return table


def drive(way: Way, connections: int, seconds: int, running: servers.Running, folder: Path) -> Found:
    """Ask as fast as answers come, one request at a time on each connection. Raises RuntimeError where one fails."""
    log = folder / "log"
    before = running.cpu_s()
    client = _start(way, connections, seconds, log)
    output, _ = client.communicate()
    used = running.cpu_s() - before
    with log.open(newline="") as lines:
        answers = [
            (int(status), int(microseconds)) for _start_, status, microseconds in csv.reader(lines, delimiter="\t")
        ]
    wrong = [status for status, _ in answers if status != 200]
    if client.returncode or wrong or not answers:
        raise RuntimeError(f"{way.name} answered {wrong[:3] or 'nothing'} instead of 200: {output[-500:]}")
    times = sorted(microseconds / 1000 for _, microseconds in answers)
    return Found(
        len(times) / seconds, median(times), times[int(0.99 * (len(times) - 1))], used / len(times) * 1_000_000
    )


def _ways(url: str, grpc_address: str, picture: Path, folder: Path) -> list[Way]:
    tensor = {"name": "input", "datatype": "BYTES", "shape": [1]}
    image = picture.read_bytes()
    element = len(image).to_bytes(4, "little") + image
    request = pb.ModelInferRequest(model_name=_MODEL, inputs=[tensor], raw_input_contents=[element])
    message = request.SerializeToString()
    _check(grpc_address, message)
    asked = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": len(element)}}],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(asked, separators=(",", ":")).encode()
    frame, body = folder / "frame", folder / "body"
    frame.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    body.write_bytes(head + element)
    length = f"inference-header-content-length: {len(head)}"
    return [
        Way("HTTP, /predict", f"{url}/predict", picture, ("--h1", "--header", "content-type: image/png")),
        Way("HTTP, /v2/models/…/infer", f"{url}/v2/models/{_MODEL}/infer", body, ("--h1", "--header", length)),
        Way(
            "gRPC, ModelInfer",
            f"http://{grpc_address}{_METHOD}",
            frame,
            ("--header", "content-type: application/grpc", "--header", "te: trailers"),
        ),
    ]


def _check(address: str, message: bytes) -> None:
    """That an ankle boot is one: to h2load an error of gRPC is an answer like any other."""
    with grpc.insecure_channel(address) as channel:
        answer = pb.ModelInferResponse.FromString(channel.unary_unary(_METHOD, request_serializer=bytes)(message))
    if len(answer.raw_output_contents) != 1 or answer.outputs[0].shape != [1, 10]:
        raise RuntimeError(f"{address} answered otherwise than expected: {answer}")


def _start(way: Way, connections: int, seconds: int, log: Path) -> "subprocess.Popen[str]":
    log.unlink(missing_ok=True)
    return subprocess.Popen(
        ["h2load", "--threads", "1", "--clients", str(connections), "--duration", str(seconds), "--data", way.body,
         *way.options, "--log-file", log, way.url],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _cells(found: list[Found]) -> tuple[str, str, str, str]:
    return (
        f"{median(one.requests_per_s for one in found):,.0f}",
        f"{median(one.p50_ms for one in found):.2f}",
        f"{median(one.p99_ms for one in found):.2f}",
        f"{median(one.cpu_us for one in found):,.0f}",
    )


if __name__ == "__main__":
    main()
