"""What the programs have in common: settings from options, and one line for what is wrong. Knows none of them."""

import sys
from typing import NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from models.printable import printable
from service.settings import ModelSettings, option_values_joined

WRONG_ARGUMENTS = 2

Settings = TypeVar("Settings", bound=ModelSettings)


def settings_of(kind: type[Settings]) -> Settings:
    """What the command line and the environment say. Ends the program with status 2 where that is wrong."""
    try:
        return kind(_cli_parse_args=option_values_joined(sys.argv[1:]))
    except ValidationError as error:
        stop(kind, WRONG_ARGUMENTS, "; ".join(map(_told, error.errors())))


def stop(kind: type[ModelSettings], status: int, text: str) -> NoReturn:
    """End the program of these settings with one line, which begins with its name."""
    print(f"{kind.model_config.get('cli_prog_name')}: {printable(text)}", file=sys.stderr)  # noqa: T201
    sys.exit(status)


def _told(error: ErrorDetails) -> str:
    if not error["loc"]:  # of two settings that do not go together
        return error["msg"]
    name = str(error["loc"][0])
    option = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
    return (
        f"{option}: {error['msg']}, got {error['input']!r}"
        if error["type"] != "missing"
        else f"{option}: {error['msg']}"
    )
