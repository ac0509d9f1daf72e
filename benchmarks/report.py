"""What was measured, as tables, as goals reached or not, and as an image. Measures nothing."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure
from rich.table import Table

from models.charts import INK, MUTED, TRAINING_COLOUR, save_figure

_BATCH = "this service, 64 in one"


@dataclass(frozen=True)
class Measurement:
    """One row of the table: a door at so many connections. Milliseconds and megabytes."""

    door: str
    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    memory_mb: float
    errors: int


@dataclass(frozen=True)
class Start:
    """How long a program takes until its first right answer, and what it holds then."""

    program: str
    seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Overload:
    """What a service did under ten times the load that it can bear."""

    capacity_per_s: float
    offered_per_s: float
    connections: int
    seconds: int
    counts: dict[int, int]
    p99_ms_of_503: float
    memory_before_mb: float
    memory_after_mb: float
    p50_before_ms: float
    p50_after_ms: float


@dataclass(frozen=True)
class Results:
    """All of one run. `function_per_s` is images a second of the light engine alone, at batches of 64."""

    machine: str
    measured: str
    measurements: tuple[Measurement, ...]
    starts: tuple[Start, ...]
    function_per_s: float
    overload: Overload

    def find(self, door: str, connections: int) -> Measurement | None:
        """The row of `door`, where it was measured."""
        fitting = (row for row in self.measurements if (row.door, row.connections) == (door, connections))
        return next(fitting, None)


@dataclass(frozen=True)
class Goal:
    """A figure to reach: at least `bound`, or at most where `at_most`."""

    text: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether it is."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def machine() -> str:
    """The processor and how many of its cores there are, in words."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{len(names)} cores of {names[0]}" if names else platform.processor()


def today() -> str:
    """The date, as in 2026-01-31."""
    return date.today().isoformat()


def middle(rounds: Sequence[Measurement]) -> Measurement:
    """The median of each figure over several rounds of the same door and connections; errors are added up."""
    figures = {
        name: median(asdict(row)[name] for row in rounds)
        for name in ("requests_per_s", "p50_ms", "p99_ms", "memory_mb")
    }
    return Measurement(rounds[0].door, rounds[0].connections, **figures, errors=sum(row.errors for row in rounds))


def goals(results: Results) -> list[Goal]:
    """The goals that can be judged by what was measured."""
    found = []

    def ratio(text: str, door: str, other: str, connections: int, bound: float) -> None:
        ours, theirs = results.find(door, connections), results.find(other, connections)
        if ours and theirs:
            name = f"{text}, {connections} connection{'s' if connections > 1 else ''}"
            found.append(Goal(name, ours.requests_per_s / theirs.requests_per_s, bound))

    raw, multipart = "this service, raw", "this service, multipart"
    for connections in (32, 128):
        ratio("raw / mosec with TensorFlow", raw, "mosec, raw", connections, 1.25)
    for connections, bound in ((32, 1.25), (128, 1.0)):
        ratio("raw / mosec with the same engine", raw, "mosec with the light engine, raw", connections, bound)
        ratio("raw / itself with TensorFlow", raw, "this service with TensorFlow, raw", connections, 1.0)
    ratio("raw / itself with TensorFlow", raw, "this service with TensorFlow, raw", 1, 1.8)
    others = [row for row in results.measurements if row.connections == 1 and not row.door.startswith(_NOT_PEERS)]
    if others:
        ratio("raw / next best", raw, max(others, key=lambda row: row.requests_per_s).door, 1, 2)
    for connections in (32, 128):
        ratio("multipart / its floor", multipart, "floor, multipart", connections, 0.75)
    ratio("raw / its floor", raw, "floor, raw", 128, 0.70)
    ratio("multipart / model.predict in a route", multipart, "model.predict in a route", 32, 100)
    if row := results.find(raw, 32):
        found.append(Goal("p99 / p50 of raw, 32 connections", row.p99_ms / row.p50_ms, 2, at_most=True))
    batches = [row.requests_per_s for row in results.measurements if row.door == _BATCH]
    if batches:
        found.append(
            Goal("images/s in batches of 64 / function alone", 64 * max(batches) / results.function_per_s, 0.6)
        )
    return [*found, *_overload_goals(results.overload)]


def tables(results: Results) -> list[Table]:
    """Everything as tables for a terminal."""
    speed = Table(title=f"{results.machine}, {results.measured}", title_justify="left")
    for name in ("", "connections", "requests/s", "p50 ms", "p99 ms", "memory MB", "errors", "of its floor"):
        speed.add_column(name, justify="right" if name else "left")
    for row in results.measurements:
        floor = results.find(_floor_of(row.door), row.connections)
        speed.add_row(
            row.door,
            str(row.connections),
            f"{row.requests_per_s:,.0f}",
            f"{row.p50_ms:.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.memory_mb:,.0f}",
            str(row.errors),
            f"{row.requests_per_s / floor.requests_per_s:.2f}" if floor else "",
        )
    speed.add_row("engine alone, 64", "", f"{results.function_per_s:,.0f} images/s")
    starts = Table(title="Start, and memory at rest", title_justify="left")
    for name in ("", "seconds to the first answer", "memory MB"):
        starts.add_column(name, justify="right" if name else "left")
    for start in results.starts:
        starts.add_row(start.program, f"{start.seconds:.1f}", f"{start.memory_mb:,.0f}")
    judged = Table(title="Goals", title_justify="left")
    for name in ("", "measured", "goal", ""):
        judged.add_column(name, justify="right" if name else "left")
    for goal in goals(results):
        bound = f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}"
        judged.add_row(goal.text, f"{goal.value:.2f}", bound, "reached" if goal.reached else "missed")
    return [speed, starts, judged]


def image(results: Results) -> bytes:
    """Requests a second of every server at 1, 32 and 128 connections, as SVG."""
    doors = [
        door
        for door in dict.fromkeys(row.door for row in results.measurements)
        if door != _BATCH and not door.startswith("own fast path")
    ]
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, connections in zip(panels, (1, 32, 128), strict=True):
        rows = [results.find(door, connections) for door in doors]
        values = [row.requests_per_s if row else 0 for row in rows]
        colours = [
            TRAINING_COLOUR if door.startswith("this") else "#d5dbe1" if door.startswith("floor") else MUTED
            for door in doors
        ]
        axes.barh(doors, values, color=colours)
        for place, value in enumerate(values):
            axes.text(value, place, f" {value:,.0f}", va="center", fontsize=8, color=INK)
        axes.set_title(f"{connections} connection{'s' if connections > 1 else ''}", color=INK, fontsize=10)
        axes.set_xlim(0, max(values) * 1.3)
        axes.set_xticks([])
        axes.tick_params(left=False, labelcolor=INK)
        axes.spines[:].set_visible(False)
    panels[0].invert_yaxis()
    figure.suptitle("Images answered a second, one worker each", color=INK, fontsize=12)
    figure.supxlabel(
        f"{results.machine}, {results.measured}; the floors answer without looking", color=MUTED, fontsize=8
    )
    return save_figure(figure, "svg")


_NOT_PEERS = ("this service", "floor", "own fast path")


def _floor_of(door: str) -> str:
    """The floor that takes the same kind of body; the floors have none."""
    if door.startswith(("floor", "own fast path")) or door == _BATCH:
        return ""
    return "floor, raw" if door.endswith("raw") else "floor, multipart"


def _overload_goals(found: Overload) -> list[Goal]:
    others = sum(count for status, count in found.counts.items() if status not in (200, 503))
    return [
        Goal("overload: answers other than 200 and 503", others, 0, at_most=True),
        Goal("overload: p99 of the 503s, ms", found.p99_ms_of_503, 100, at_most=True),
        Goal("overload: memory after / before", found.memory_after_mb / found.memory_before_mb, 1.05, at_most=True),
        Goal("overload: p50 within 5 s after / before", found.p50_after_ms / found.p50_before_ms, 1.5, at_most=True),
    ]
