"""The command line of training: settings from options and environment, one line for what goes wrong."""

import signal
from types import FrameType
from typing import NoReturn

from rich.console import Console

from models.command_line import settings_of, stop, unknown_variables
from models.library_notes import library_notes_left_out
from models.printable import printable
from training.errors import TrainingError, reason_of
from training.settings import TrainingSettings

INTERRUPTED = 130


def main() -> None:
    """Run `cnn-train`. Exits with 0, 1 (the run failed), 2 (wrong settings) or 130 (interrupted)."""
    settings = settings_of(TrainingSettings)
    console = Console(highlight=False, markup=False)
    for sentence in unknown_variables(TrainingSettings):
        console.print(printable(sentence), soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        # TensorFlow takes seconds to import: --help and wrong settings should not wait for it.
        with library_notes_left_out():
            from training.base import load_base  # noqa: PLC0415
            from training.fit import run  # noqa: PLC0415
            from training.load import load  # noqa: PLC0415

        base = load_base(settings) if settings.base else None
        for note in base.notes if base else ():
            console.print(printable(note), soft_wrap=True)
        run(settings, load(settings, console, base.input if base else None), console, base)
    except KeyboardInterrupt as error:
        _stop(INTERRUPTED, str(error) or f"interrupted; {settings.output} is as it was, and no run was begun")
    except TrainingError as error:
        _stop(1, str(error))
    except OSError as error:
        _stop(1, f"{reason_of(error)}; {settings.output} is as it was")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _stop(status: int, text: str) -> NoReturn:
    stop(TrainingSettings, status, text)


if __name__ == "__main__":
    main()
