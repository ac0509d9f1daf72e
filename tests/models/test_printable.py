"""What a file or a client wrote is shown, and not obeyed."""

import pytest

from models.printable import printable
from tests.attacks.callers import ESCAPES


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("cat\nINFO: dog", r"cat\nINFO: dog"),
        ("\x1b[2J\x07\x7f", r"\x1b[2J\x07\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
        ("half \ud83d", r"half \ud83d"),
        ("Kimchi 김치, naïve café\u00a0🐈\u200d⬛ [red]", "Kimchi 김치, naïve café\u00a0🐈\u200d⬛ [red]"),
    ],
)
def test_what_commands_a_terminal_is_written_out(given: str, shown: str) -> None:
    assert printable(given) == shown


def test_what_is_printable_has_one_line() -> None:
    assert len(printable(f"{ESCAPES}\n\v\f\x85\x1c\u2029end").splitlines()) == 1
