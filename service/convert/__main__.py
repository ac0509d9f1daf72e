"""The command line of `cnn-convert`: settings, a table of what became of each model, and the exit status."""

import logging
import time
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from models.card import ModelFileError
from models.command_line import WRONG_ARGUMENTS, settings_of, stop
from service.convert.settings import ConvertSettings
from service.engines.light.cache import CachedConversion
from service.engines.light.converted import MODEL
from service.engines.light.loader import LightLoader
from service.errors import StorageFailed
from service.inference.model_folder import model_files, passed_over
from service.inference.version_folders import given_name
from service.model_files.options import facts_of
from service.model_files.snapshot import ModelFileLimits
from service.settings import ServiceSettings

NOT_SERVED, INTERRUPTED = 3, 130


def main() -> None:
    """Run `cnn-convert`. Exits with 0, 2 (wrong arguments) or 3 (a file cannot be served)."""
    settings = settings_of(ConvertSettings, beside=ServiceSettings.model_fields)
    try:
        options = facts_of(settings)
    except ModelFileError as error:
        _stop(WRONG_ARGUMENTS, str(error))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    loader = LightLoader(options, ModelFileLimits(settings.max_model_bytes), settings.converted_models)
    table = Table("model", "version", "engine", "largest difference to Keras", "MB", "seconds")
    failed = []
    try:
        for path in model_files(settings.model, None):
            began = time.monotonic()
            try:
                with Console(stderr=True).status(f"{path} is converted"):
                    _, found = loader.converted(path, given_name(path, settings.model, settings.model_name))
            except ModelFileError as error:
                failed.append(str(error))
                continue
            table.add_row(path.name, found.result.version, *_told(found), f"{time.monotonic() - began:.1f}")
        failed += passed_over(settings.model) if settings.model.is_dir() else []
    except (ModelFileError, StorageFailed) as error:
        failed.append(str(error))
    except KeyboardInterrupt:
        _stop(INTERRUPTED, "interrupted; what was converted is kept")
    if table.row_count:
        Console().print(table)
        Console(highlight=False).print(f"kept in {settings.converted_models}", soft_wrap=True)
    if failed:
        _stop(NOT_SERVED, "\n".join(failed))


def _told(found: CachedConversion) -> tuple[str, str, str]:
    if found.result.model is None:
        return f"TensorFlow: {found.result.reason}", "", ""
    size = (found.folder / MODEL).stat().st_size / 1e6
    return "light", f"{found.result.model.difference:.1e}", f"{size:.1f}"


def _stop(status: int, text: str) -> NoReturn:
    stop(ConvertSettings, status, text)


if __name__ == "__main__":
    main()
