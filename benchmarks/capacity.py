"""What a million predictions cost: processor time of a request, by engine and number of workers, for any model."""

import shlex
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks import load, servers
from models.picture_folders import is_system_file

_WARM_UP_S = 3
_SECONDS_OF_AN_HOUR = 3600
_MOST_PICTURES = 200


class CapacitySettings(BaseSettings):
    """Measure what a request to `POST /predict` costs on this machine."""

    model_config = SettingsConfigDict(
        cli_prog_name="python -m benchmarks.capacity", cli_kebab_case=True, protected_namespaces=()
    )

    model_path: Annotated[Path, Field(description="the model file")] = Path("models/best-cnn-model.h5")
    pictures: Annotated[Path, Field(description="folder of pictures that are asked about, also below it")] = (
        servers.ROOT / "tests" / "fashion-mnist-sample"
    )
    options: Annotated[str, Field(description="further options of the service")] = ""
    engines: Annotated[list[str], Field(description="engines, each once")] = ["light", "tensorflow"]
    workers: Annotated[list[int], Field(description="numbers of workers, each once")] = [1, 2]
    connections: Annotated[int, Field(ge=1, description="callers at the same time")] = 32
    seconds: Annotated[int, Field(ge=1, description="how long each row is measured")] = 8
    rounds: Annotated[int, Field(ge=1, description="how often, in turn; the table shows medians")] = 3


def main() -> None:
    """Measure all rows in turn and show them. Exits with 1 where a tool is missing or the service does not start."""
    settings = CapacitySettings(_cli_parse_args=True)
    rows: dict[tuple[str, int], list[tuple[float, float, float, float]]] = {}
    try:
        load.check_tools()
        with tempfile.TemporaryDirectory() as folder:
            bodies = load.write_bodies(Path(folder) / "bodies", _pictures(settings.pictures), None)
            for _ in range(settings.rounds):
                for engine in settings.engines:
                    for workers in settings.workers:
                        rows.setdefault((engine, workers), []).append(_measured(settings, bodies, engine, workers))
    except (load.ToolMissing, RuntimeError) as error:
        print(f"capacity: {error}", file=sys.stderr)  # noqa: T201 - a command line
        sys.exit(1)
    table = Table("engine", "workers", "requests/s", "p99, ms", "CPU of a request, ms", "core hours a million", "MB")
    for (engine, workers), found in rows.items():
        requests_per_s, p99_ms, cpu_s, memory_mb = map(median, zip(*found, strict=True))
        hours = cpu_s * 1e6 / _SECONDS_OF_AN_HOUR
        table.add_row(
            engine,
            str(workers),
            f"{requests_per_s:,.0f}",
            f"{p99_ms:.1f}",
            f"{cpu_s * 1000:.3g}",
            f"{hours:.3g}",
            f"{memory_mb:,.0f}",
        )
    Console(highlight=False).print(table)


def _pictures(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not is_system_file(path.name))
    if not found:
        raise RuntimeError(f"{folder} has no pictures")
    return found[:: max(1, len(found) // _MOST_PICTURES)][:_MOST_PICTURES]


def _measured(
    settings: CapacitySettings, bodies: load.BodyLimits, engine: str, workers: int
) -> tuple[float, float, float, float]:
    """Requests/s, 99th percentile in milliseconds, seconds of processor time of a request, and megabytes."""
    program = servers.Program(
        f"{engine}, {workers}",
        (
            *servers.SERVICE.command,
            *("--model-path", str(settings.model_path.resolve()), "--engine", engine, "--workers", str(workers)),
            *shlex.split(settings.options),
        ),
        (servers.Endpoint("", "/predict"),),
        answers='"label"',
    )
    with servers.started(program, bodies) as running:
        url = running.url + program.doors[0].path
        load.drive(url, bodies, settings.connections, _WARM_UP_S)
        before = running.cpu_s()
        found = load.drive(url, bodies, settings.connections, settings.seconds)
        if found.errors:
            raise RuntimeError(f"{found.errors} requests were not answered with 200 ({program.name} workers)")
        cpu_s = (running.cpu_s() - before) / (found.requests_per_s * settings.seconds)
        return found.requests_per_s, found.p99_ms, cpu_s, running.memory_mb()


if __name__ == "__main__":
    main()
