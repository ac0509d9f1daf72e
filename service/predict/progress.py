"""What a person sees: a bar on a terminal, else a line now and then; and a table at the end. Knows no model."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from models.printable import printable
from service.predict.journal import Row

_LINE_EVERY_S = 10.0
_MOST_CLASSES = 20


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s")


class Work:
    """One kind of work on many pictures, some of which are done already."""

    def __init__(self, console: Console, what: str, total: int, done: int) -> None:
        """Told on `console`, which is standard error."""
        self._console, self._what, self._total = console, what, total
        self._before = self._done = done
        self._began = self._told = time.monotonic()
        self.problems = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[problems]}"),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=30,
        )
        self._task = self._progress.add_task(what, total=total, completed=done, problems="")

    def advance(self, pictures: int = 1, problems: int = 0) -> None:
        """So many more are done."""
        self._done += pictures
        self.problems += problems
        told = f"{self.problems:,} with problems" if self.problems else ""
        self._progress.update(self._task, advance=pictures, problems=told)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= _LINE_EVERY_S:
            self._told = now
            rate = (self._done - self._before) / (now - self._began)
            left = timedelta(seconds=round((self._total - self._done) / rate)) if rate else "?"
            self.tell(
                f"{self._what}: {self._done:,} of {self._total:,}, {rate:,.1f}/s, {left} left{', ' * bool(told)}{told}"
            )

    def tell(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(printable(text), soft_wrap=True)

    @contextmanager
    def shown(self) -> Iterator["Work"]:
        """As long as the work lasts."""
        with self._progress:
            yield self


class Summary:
    """What became of all pictures."""

    def __init__(self) -> None:
        self._problems: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Count one."""
        if problem := row.get("problem"):
            self._problems[problem["kind"]] += 1
        else:
            self._classes[row["label"]] += 1

    @property
    def failed(self) -> int:
        """How many have no answer for a reason that need not be theirs."""
        return self._problems["failed"]

    def print(self, console: Console, seconds: float, asked: int) -> None:
        """`asked` are those that this run had to ask for, in `seconds`."""
        pictures = self._problems.total() + self._classes.total()
        table = Table("", "pictures", title=f"{pictures:,} pictures", title_justify="left")
        table.columns[1].justify = "right"
        for label, number in self._classes.most_common(_MOST_CLASSES):
            table.add_row(printable(label), f"{number:,}")
        others = self._classes.most_common()[_MOST_CLASSES:]
        if others:
            table.add_row(f"{len(others):,} other classes", f"{sum(number for _, number in others):,}")
        if self._problems:
            table.add_section()
        for kind, number in self._problems.most_common():
            table.add_row(f"problem: {kind}", f"{number:,}")
        console.print(table)
        rate = f", {asked / seconds:,.1f} pictures/s" if asked and seconds else ""
        before = f"; {pictures - asked:,} were known from before" if pictures > asked else ""
        console.print(f"{asked:,} asked for in {seconds:,.1f} s{rate}{before}", soft_wrap=True)
