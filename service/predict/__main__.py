"""The command line of `cnn-predict`: settings, one line for what goes wrong, and the exit status."""

import logging
import signal
from typing import NoReturn

from rich.console import Console

from models.card import ModelFileError
from models.command_line import WRONG_ARGUMENTS, settings_of, stop
from service.engines.base import DeviceError
from service.errors import StorageFailed
from service.predict.errors import Stopped, WrongUse
from service.predict.run import journal_of, predict
from service.predict.settings import PathsAsTheyAre, PredictSettings
from service.settings import ServiceSettings

STOPPED, NOT_LOADED, INTERRUPTED = 1, 3, 130


def main() -> None:
    """Run `cnn-predict`. Exits with 0, 1 (stopped), 2 (wrong arguments), 3 (no model) or 130 (interrupted)."""
    settings = settings_of(PredictSettings, PathsAsTheyAre, beside=ServiceSettings.model_fields)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        whole = predict(settings, Console(stderr=True, highlight=False, markup=False))
    except WrongUse as error:
        _stop(WRONG_ARGUMENTS, str(error))
    except (ModelFileError, DeviceError, StorageFailed) as error:
        _stop(NOT_LOADED, str(error))
    except Stopped as error:
        _stop(STOPPED, f"{error}; {_what_is_kept(settings)}")
    except KeyboardInterrupt:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)  # only the last words are left to be said
        _stop(INTERRUPTED, f"interrupted; {_what_is_kept(settings)}")
    if not whole:
        _stop(STOPPED, "some pictures have no answer for a reason that need not be theirs: see the problems `failed`")


def _what_is_kept(settings: PredictSettings) -> str:
    journal = journal_of(settings.answers)
    if not journal.exists():
        return "nothing was answered yet, and the same command goes on from there"
    return f"what was answered is kept in {journal}, and the same command goes on with it"


def _stop(status: int, text: str) -> NoReturn:
    stop(PredictSettings, status, text)


if __name__ == "__main__":
    main()
