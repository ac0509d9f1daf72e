"""What all programs have in common: settings from options and environment, and one line for what is wrong.

Knows none of the programs.
"""

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsError

from models.misspelt import nearest
from models.pixels import option_values_joined
from models.printable import printable

WRONG_ARGUMENTS = 2
_POSITIONAL = {"model": "MODEL", "inputs": "PICTURES"}
_OPTION = re.compile(r"(?<=[\[| ])--?[a-z][a-z0-9-]*")

# A variable that is so like a setting's is a slip, and stops the program: it would go on with another model, or without
# keys. What is less like one may be a platform's: it is told, and left alone.
_A_SLIP = 0.9
# What Kubernetes gives each container of the services beside it. One that is called "service" begins as we do.
_OF_KUBERNETES = re.compile(r".+_SERVICE_(HOST|PORT(_.+)?)|.+_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
_ADDRESS_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://")

Settings = TypeVar("Settings", bound=BaseSettings)


def settings_of(
    kind: type[Settings],
    source: type[CliSettingsSource[Settings]] = CliSettingsSource,
    sources: Mapping[str, str] | None = None,
    beside: Iterable[str] = (),
    alone: str | None = None,
) -> Settings:
    """What the command line, read by `source`, and the environment say. Ends the program with 2 where that is wrong.

    `sources` says, for a setting that is neither an option nor a variable of ours, what else it may come from. `beside`
    are settings of other programs that read the same variables. `alone` is the option that is most likely meant by an
    argument without one.
    """
    arguments = option_values_joined(sys.argv[1:])
    try:
        options = source(
            kind, cli_parse_args=arguments, cli_exit_on_error=False, parse_args_method=partial(_parsed, alone=alone)
        )
        _refuse_slips(kind, beside)
        return kind(_cli_settings_source=options)
    except ValidationError as error:
        stop(kind, WRONG_ARGUMENTS, "; ".join(map(partial(_told, sources or {}), error.errors())))
    except SettingsError as error:
        stop(kind, WRONG_ARGUMENTS, f"{str(error).removeprefix('error parsing CLI: ')}; --help lists all options")


def unknown_variables(kind: type[BaseSettings]) -> list[str]:
    """For each variable that begins like the settings' and is none: a sentence that says so."""
    sentences = []
    for variable in _unknown(kind, ()):
        near = nearest(_setting(kind, variable), kind.model_fields)
        meant = f" (did you mean {_variable(kind, near)}?)" if near else ""
        sentences.append(f"{variable} in the environment is no setting, and has no effect{meant}")
    return sentences


def stop(kind: type[BaseSettings], status: int, text: str) -> NoReturn:
    """End the program of these settings with one line, which begins with its name."""
    print(f"{kind.model_config.get('cli_prog_name')}: {printable(text)}", file=sys.stderr)  # noqa: T201
    sys.exit(status)


def _parsed(
    parser: ArgumentParser, arguments: Sequence[str], namespace: Namespace | None = None, *, alone: str | None
) -> Namespace:
    found, unknown = parser.parse_known_args(arguments, namespace)
    misspelt = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
    if misspelt:
        parser.error("; ".join(_misspelt(option, _OPTION.findall(parser.format_usage())) for option in misspelt))
    if unknown:
        scheme, is_address, _ = unknown[0].partition("://")
        shown = f"{scheme}://…" if is_address else unknown[0]  # there may be a password in it
        meant = f" (did you mean {alone} {shown}?)" if alone else ""
        if any(argument.endswith(",") for argument in arguments):
            meant = " (a list has no spaces behind its commas, or stands in quotes)"
        parser.error(f"no option comes before the argument {shown!r}{meant}")
    return found


def _misspelt(option: str, known: Iterable[str]) -> str:
    near = nearest(option, known)
    return f"there is no option {option}" + (f" (did you mean {near}?)" if near else "")


def _refuse_slips(kind: type[BaseSettings], beside: Iterable[str]) -> None:
    given = {_setting(kind, variable) for variable in os.environ}
    slips = [
        f"there is no variable {variable} (did you mean {_variable(kind, near)}?)"
        for variable in _unknown(kind, beside)
        # One whose like is given too is somebody else's.
        if (near := nearest(_setting(kind, variable), kind.model_fields.keys() - given, _A_SLIP))
    ]
    if slips:
        stop(kind, WRONG_ARGUMENTS, "; ".join(slips))


def _unknown(kind: type[BaseSettings], beside: Iterable[str]) -> list[str]:
    """The variables that begin like the settings' and are neither one of them nor Kubernetes'."""
    prefix, known = _prefix(kind), {*kind.model_fields, *beside}
    return [
        name
        for name, value in sorted(os.environ.items())
        if name.upper().startswith(prefix)
        and _setting(kind, name) not in known
        and not _OF_KUBERNETES.fullmatch(name)
        and not _ADDRESS_OF_KUBERNETES.match(value)
    ]


def _prefix(kind: type[BaseSettings]) -> str:
    return kind.model_config.get("env_prefix", "")


def _setting(kind: type[BaseSettings], variable: str) -> str:
    return variable.upper().removeprefix(_prefix(kind)).lower()


def _variable(kind: type[BaseSettings], setting: str) -> str:
    return _prefix(kind) + setting.upper()


def _told(sources: Mapping[str, str], error: ErrorDetails) -> str:
    text = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:  # of two settings that do not go together
        return text
    name = str(error["loc"][0])
    option = _POSITIONAL.get(name) or f"--{name.replace('_', '-')}"
    if name in sources:
        option += f" (or {sources[name]})"
    return f"{option}: {text}" if error["type"] == "missing" else f"{option}: {text}, got {error['input']!r}"
