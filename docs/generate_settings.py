"""Writes docs/settings.md from the settings of the programs, which describe themselves. Run by `make docs`."""

import sys
from pathlib import Path

from pydantic_settings import BaseSettings

from service.check.settings import CheckSettings
from service.convert.settings import ConvertSettings
from service.settings import ModelSettings, ServiceSettings
from training.settings import TrainingSettings

PAGE = Path(__file__).with_name("settings.md")

_INTRODUCTION = """\
# Settings

Each setting is an option of the program and a variable in the environment; the option has precedence. This page is
written by `make docs`.
"""

_PROGRAMS: tuple[tuple[str, str, type[BaseSettings]], ...] = (
    ("Service", "`make serve`, `python -m service`, `cnn-serve`:", ServiceSettings),
    (
        "Check",
        "`cnn-check MODEL`, `python -m service.check MODEL`; it also takes those of the service that describe a "
        "model,\n`--class-names` to `--label-threshold`:",
        CheckSettings,
    ),
    (
        "Convert",
        "`cnn-convert MODEL`, `python -m service.convert MODEL`; it takes those of the service that describe a model, "
        "too:",
        ConvertSettings,
    ),
    ("Training", "`make train`, `python -m training`, `cnn-train`:", TrainingSettings),
)


def main() -> None:
    """Write the page beside this file."""
    PAGE.write_text(settings_page())
    sys.stdout.write(f"{PAGE} is written\n")


def settings_page() -> str:
    """The page as Markdown: a heading and a table for each program."""
    sections = (f"## {title}\n\n{commands}\n\n{settings_table(kind)}" for title, commands, kind in _PROGRAMS)
    return "\n".join((_INTRODUCTION, *sections))


def settings_table(settings: type[BaseSettings]) -> str:
    """A row for each setting of one program, in the order in which they are declared."""
    prefix = settings.model_config["env_prefix"]
    rows = ["| option | environment | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in settings.model_fields.items():
        if settings in (CheckSettings, ConvertSettings) and name in ModelSettings.model_fields:
            continue
        option = name.upper() if field.is_required() else f"--{name.replace('_', '-')}"
        default = "" if field.is_required() else _shown(field.default)
        variable = f"{prefix}{name.upper()}"
        rows.append(f"| `{option}` | `{variable}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    if default in (None, (), ""):
        return ""
    if default is False:
        return "off"
    return f"`{','.join(map(str, default)) if isinstance(default, tuple) else default}`"


if __name__ == "__main__":
    main()
