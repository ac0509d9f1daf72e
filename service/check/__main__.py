"""The command line of `cnn-check`: settings, one line for what goes wrong, and the exit status."""

import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from models.card import ModelFileError
from models.command_line import WRONG_ARGUMENTS, settings_of, stop
from models.library_notes import library_notes_left_out
from service.check.errors import CheckError
from service.check.settings import CheckSettings
from service.errors import StorageFailed
from service.inference.model_folder import model_files
from service.model_files.options import facts_of
from service.model_files.validation.formats import check_quickly
from service.settings import ServiceSettings

GUESSED, NOT_SERVED, INTERRUPTED = 1, 3, 130


def main() -> None:
    """Run `cnn-check`. Exits with 0, 1 (something is guessed), 2 (wrong arguments) or 3 (the file cannot be served)."""
    settings = settings_of(CheckSettings, beside=ServiceSettings.model_fields)
    try:
        facts_of(settings)
    except ModelFileError as error:
        _stop(WRONG_ARGUMENTS, str(error))
    try:
        if settings.model.is_dir():
            settings = settings.model_copy(update={"model": _only_model_in(settings.model)})
        check_quickly(settings.model)
        with library_notes_left_out():
            from service.check.run import check  # noqa: PLC0415 - seconds, for which --help should not wait

        guessed = check(settings, Console(highlight=False, markup=False), Console(stderr=True))
    except CheckError as error:
        _stop(WRONG_ARGUMENTS, str(error))
    except (ModelFileError, StorageFailed) as error:
        _stop(NOT_SERVED, str(error))
    except KeyboardInterrupt:
        _stop(INTERRUPTED, "interrupted; no file was written")
    if guessed:
        sys.exit(GUESSED)


def _only_model_in(folder: Path) -> Path:
    """As Teachable Machine's export is once it is unpacked. Raises CheckError for several; ModelFileError for none."""
    file, *others = model_files(folder, None)
    if others:
        raise CheckError(f"the folder {folder} has {1 + len(others)} models; name one of the files in it")
    return file


def _stop(status: int, text: str) -> NoReturn:
    stop(CheckSettings, status, text)


if __name__ == "__main__":
    main()
