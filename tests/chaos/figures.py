"""What each fault cost: one row a test, shown in a table at the end and kept as JSON by the long form."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.forms import FORM
from tests.samples import ROOT

RESULTS = ROOT / "runs" / "chaos" / "results.json"
WIDTH = 120


@dataclass
class Row:
    """A fault, what it may cost, and what it did cost."""

    fault: str
    aim: str
    figures: dict[str, object] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    verdict: str = "broke off"

    def must(self, what: str, reached: bool) -> None:
        """An aim that holds on any machine, however busy it is."""
        if not reached:
            self.missed.append(what)

    def should(self, what: str, reached: bool) -> None:
        """An aim in seconds or megabytes: only the long form, which has the machine to itself, insists on it."""
        if FORM.is_long:
            self.must(what, reached)

    def settle(self) -> None:
        """To be called last: fails the test if an aim was missed."""
        self.verdict = "missed" if self.missed else "passed"
        assert not self.missed, f"{self.missed}; {self.figures}"


def progress(text: str) -> None:
    if FORM.is_long:
        Console(highlight=False).print(text)


def table(rows: Iterable[Row]) -> Table:
    shown = Table("fault", "aim", "figures", "", title=f"what each fault costs, {FORM.name} form")
    for row in rows:
        figures = "\n".join(f"{name}: {_text(value)}" for name, value in row.figures.items())
        shown.add_row(row.fault, row.aim, figures, "\n".join([row.verdict, *row.missed]), end_section=True)
    return shown


def keep(rows: Iterable[Row], path: Path = RESULTS) -> None:
    """Write the rows, in place of earlier ones of the same faults; those of others stay."""
    known = json.loads(path.read_text()) if path.exists() else {}
    for row in rows:
        known[row.fault] = {"aim": row.aim, "verdict": row.verdict, "missed": row.missed, "figures": row.figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")


def _text(value: object) -> str:
    match value:
        case float():
            return f"{value:,.2f}"
        case int():
            return f"{value:,}"
        case dict():
            return ", ".join(f"{_text(count)} × {name}" for name, count in value.items()) or "none"
        case list():
            return ", ".join(map(_text, value)) or "none"
    return str(value)
