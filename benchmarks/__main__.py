"""The command line of the benchmarks: every server in turn, then the tables, the goals and an image."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console

from benchmarks import load, report, servers

_IMAGES = servers.ROOT / "tests" / "fashion-mnist-sample"
_WARM_UP_S = 2
_OVERLOAD_CONNECTIONS = 512
_OVERLOAD = 10
_TABLE_WIDTH = 110


class BenchmarkSettings(BaseSettings):
    """Measure this service and others on this machine."""

    model_config = SettingsConfigDict(cli_prog_name="make bench", cli_kebab_case=True, cli_implicit_flags=True)

    seconds: Annotated[int, Field(ge=1, description="how long each row of the table is measured")] = 8
    rounds: Annotated[int, Field(ge=1, description="how often all is measured; the table shows medians")] = 1
    overload_seconds: Annotated[int, Field(ge=1, description="how long ten times too much is asked")] = 30
    output: Annotated[Path, Field(description="folder for results.json and benchmark.svg")] = Path("runs/benchmark")


def main() -> None:
    """Run it all. Exits with 1 where a tool is missing or a server does not start."""
    settings = BenchmarkSettings(_cli_parse_args=True)
    console = Console(highlight=False)
    console.width = max(console.width, _TABLE_WIDTH)
    try:
        load.check_tools()
        with tempfile.TemporaryDirectory() as folder:
            results = measure(settings, Path(folder), console)
    except (load.ToolMissing, RuntimeError) as error:
        print(f"make bench: {error}", file=sys.stderr)
        sys.exit(1)
    settings.output.mkdir(parents=True, exist_ok=True)
    (settings.output / "results.json").write_text(json.dumps(asdict(results), indent=2) + "\n")
    (settings.output / "benchmark.svg").write_bytes(report.image(results))
    for table in report.tables(results):
        console.print(table)
        console.print()
    console.print(f"results.json and benchmark.svg are in {settings.output}")


def measure(settings: BenchmarkSettings, folder: Path, console: Console) -> report.Results:
    """Every server in turn. Raises RuntimeError where one does not start, before any is measured."""
    bodies = _bodies(folder)
    for program in servers.PROGRAMS:
        console.print(f"does {program.name} start?")
        with servers.started(program, bodies[program.doors[0].name]):
            pass
    rows: dict[tuple[str, int], list[report.Measurement]] = {}
    starts = [report.Start("import tensorflow alone", *servers.tensorflow_alone())]
    for round_ in range(settings.rounds):
        for program in servers.PROGRAMS:
            console.print(f"round {round_ + 1} of {settings.rounds}: {program.name}")
            with servers.started(program, bodies[program.doors[0].name]) as running:
                if round_ == 0:
                    starts.append(report.Start(program.name, running.seconds_to_ready, running.memory_mb()))
                for door in program.doors:
                    for connections in door.connections:
                        row = _row(running, door, bodies[door.name], connections, settings.seconds)
                        rows.setdefault((door.name, connections), []).append(row)
    console.print("the engine alone")
    function_per_s = servers.function_alone()
    console.print(f"ten times too much for {settings.overload_seconds} s")
    return report.Results(
        report.machine(),
        report.today(),
        tuple(report.middle(found) for found in rows.values()),
        tuple(starts),
        function_per_s,
        _overload(bodies[servers.SERVICE.doors[0].name], settings.overload_seconds, folder / "log"),
    )


def _bodies(folder: Path) -> dict[str, load.BodyLimits]:
    """The bodies for each door. The first image is an ankle boot, by which `started` knows a right answer."""
    images: Sequence[Path] = sorted(_IMAGES.glob("*.png"), key=lambda file: (not file.name.startswith("9"), file))
    return {
        door.name: load.write_bodies(folder / f"{number}", images, door.field, door.images)
        for number, door in enumerate(door for program in servers.PROGRAMS for door in program.doors)
    }


def _row(
    running: servers.Running, door: servers.Endpoint, bodies: load.BodyLimits, connections: int, seconds: int
) -> report.Measurement:
    load.drive(running.url + door.path, bodies, connections, _WARM_UP_S)
    found = load.drive(running.url + door.path, bodies, connections, seconds)
    return report.Measurement(door.name, connections, memory_mb=running.memory_mb(), **asdict(found))


def _overload(bodies: load.BodyLimits, seconds: int, log: Path) -> report.Overload:
    with servers.started(servers.SERVICE, bodies) as running:
        url = running.url + servers.SERVICE.doors[0].path
        load.drive(url, bodies, 128, _WARM_UP_S)
        capacity = load.drive(url, bodies, 128, 5).requests_per_s
        before, memory_before = load.drive(url, bodies, 1, 3), running.memory_mb()
        offered = _OVERLOAD * capacity
        answers = load.overload(url, bodies, _OVERLOAD_CONNECTIONS, offered, seconds, log)
        after = load.drive(url, bodies, 1, 3)
        return report.Overload(
            capacity,
            offered,
            _OVERLOAD_CONNECTIONS,
            seconds,
            answers.counts,
            answers.p99_ms.get(503, 0.0),
            memory_before,
            running.memory_mb(),
            before.p50_ms,
            after.p50_ms,
        )


if __name__ == "__main__":
    main()
