"""The command line of training: settings from options and environment, one line for what goes wrong."""

import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError
from rich.console import Console

from models.printable import printable
from training.errors import TrainingError, reason_of
from training.settings import TrainingSettings

INTERRUPTED = 130


def main() -> None:
    """Run `cnn-train`. Exits with 0, 1 (the run failed), 2 (wrong settings) or 130 (interrupted)."""
    try:
        settings = TrainingSettings(_cli_parse_args=True)
    except ValidationError as error:
        _stop(2, "; ".join(f"{_option(part['loc'])}: {part['msg']}, got {part['input']!r}" for part in error.errors()))

    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        # TensorFlow takes seconds to import: --help and wrong settings should not wait for it.
        from training.fit import load, run  # noqa: PLC0415

        # Keras calls .h5 a legacy format at every save; here it is the format that was chosen.
        logging.getLogger("absl").setLevel(logging.ERROR)
        console = Console(highlight=False, markup=False)
        run(settings, load(settings, console), console)
    except KeyboardInterrupt:
        _stop(
            INTERRUPTED,
            f"interrupted; {settings.output} is as it was, and `--resume` goes on after the last whole epoch, if any",
        )
    except TrainingError as error:
        _stop(1, str(error))
    except OSError as error:
        _stop(1, f"{reason_of(error)}; {settings.output} is as it was")


def _option(location: tuple[int | str, ...]) -> str:
    return "--" + str(location[0]).replace("_", "-") if location else "settings"


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _stop(status: int, text: str) -> NoReturn:
    print(f"cnn-train: {printable(text)}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
