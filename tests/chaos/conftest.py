"""What the fault tests share: the right answers, the rows of figures, and the table at the end."""

from collections.abc import Callable

import pytest
from rich.console import Console

from tests.chaos import figures as results
from tests.chaos.answers import Right, answers_of
from tests.chaos.figures import Row
from tests.chaos.forms import FORM
from tests.reloads import other_model as other_model  # noqa: PLC0414 - a fixture
from tests.samples import SHIPPED_MODEL

ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> Callable[[str, str], Row]:
    """Begins the row of a fault."""

    def begin(fault: str, aim: str) -> Row:
        row = Row(fault, aim)
        pytestconfig.stash.setdefault(ROWS, []).append(row)
        return row

    return begin


@pytest.fixture(scope="session")
def right() -> Right:
    """What the shipped model makes of each image, by its version."""
    return answers_of(SHIPPED_MODEL)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    console = Console(width=results.WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(results.table(rows))
    terminalreporter.write_line("")
    terminalreporter.write(captured.get())
    if FORM.is_long:
        results.keep(rows)
        terminalreporter.write_line(f"kept in {results.RESULTS}")
