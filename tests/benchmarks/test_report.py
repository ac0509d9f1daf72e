"""What the benchmarks make of their measurements."""

import io
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmarks.report import Measurement, Overload, Results, Start, goals, image, middle, tables


def row(door: str, connections: int, requests_per_s: float, p99_ms: float = 15) -> Measurement:
    return Measurement(door, connections, requests_per_s, 10, p99_ms, 600, 0)


def results(**changes: object) -> Results:
    rows = [
        row("this service, raw", 1, 1000),
        row("this service, raw", 32, 5000),
        row("this service, raw", 128, 8000),
        row("this service, multipart", 32, 4000),
        row("this service, multipart", 128, 4000),
        row("this service, 64 in one", 2, 100),
        row("floor, raw", 128, 10_000),
        row("floor, multipart", 32, 5000),
        row("floor, multipart", 128, 5000),
        row("mosec, raw", 1, 400),
        row("mosec, raw", 32, 4000),
        row("mosec, raw", 128, 4000),
        row("BentoML, multipart", 1, 500),
        row("model.predict in a route", 32, 20),
    ]
    overload = Overload(8000, 80_000, 512, 30, {200: 10, 503: 20}, 50, 600, 606, 0.7, 0.7)
    starts = (Start("this service", 3, 600),)
    return Results("a machine", "2026-01-31", tuple(rows), starts, 10_000, overload, **changes)  # type: ignore[arg-type]


def test_goals_are_ratios_of_what_was_measured() -> None:
    assert {goal.text: round(goal.value, 3) for goal in goals(results())} == {
        "raw / mosec with TensorFlow, 32 connections": 1.25,
        "raw / mosec with TensorFlow, 128 connections": 2,
        "raw / next best, 1 connection": 2,
        "multipart / its floor, 32 connections": 0.8,
        "multipart / its floor, 128 connections": 0.8,
        "raw / its floor, 128 connections": 0.8,
        "multipart / model.predict in a route, 32 connections": 200,
        "p99 / p50 of raw, 32 connections": 1.5,
        "images/s in batches of 64 / function alone": 0.64,
        "overload: answers other than 200 and 503": 0,
        "overload: p99 of the 503s, ms": 50,
        "overload: memory after / before": 1.01,
        "overload: p50 within 5 s after / before": 1,
    }
    assert all(goal.reached for goal in goals(results()))


def test_a_goal_that_is_missed_is_told() -> None:
    slow = results()
    slow = Results(**{**vars(slow), "measurements": (*slow.measurements[1:], row("this service, raw", 1, 700))})
    console = Console(record=True, width=120, file=io.StringIO())
    for table in tables(slow):
        console.print(table)
    shown = console.export_text()
    (line,) = [line for line in shown.splitlines() if "next best" in line]
    assert "1.40" in line
    assert "missed" in line
    assert shown.count("missed") == 1


def test_several_rounds_give_their_medians_and_all_their_errors() -> None:
    rounds = [Measurement("door", 32, speed, p50, 9, 600, 1) for speed, p50 in ((100, 3), (500, 1), (200, 2))]
    assert middle(rounds) == Measurement("door", 32, 200, 2, 9, 600, 3)


def test_the_image_names_every_server_and_its_speed() -> None:
    content = image(results())
    assert ElementTree.fromstring(content).tag.endswith("svg")
    for text in ("this service, raw", "mosec, raw", " 8,000", "a machine, 2026-01-31"):
        assert text in content.decode()


@pytest.mark.parametrize("door", ["this service, 64 in one", "own fast path"])
def test_the_image_leaves_out_what_is_no_server_of_single_images(door: str) -> None:
    assert door not in image(results()).decode()
