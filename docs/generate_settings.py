"""Writes docs/settings.md, and the names that the Helm chart takes, from the settings of the programs.

They describe themselves. Run by `make docs`.
"""

import json
import sys
from pathlib import Path

from pydantic_settings import BaseSettings

from service.check.settings import CheckSettings
from service.convert.settings import ConvertSettings
from service.predict.settings import PredictSettings
from service.settings import InferenceSettings, ModelSettings, ServiceSettings
from training.settings import TrainingSettings

PAGE = Path(__file__).with_name("settings.md")
CHART_SCHEMA = PAGE.parents[1] / "deploy" / "helm" / "keras-image-service" / "values.schema.json"
# What the chart says itself, and where it would not find the service.
_OF_THE_CHART = {"host", "port", "uds", "tls_certificate", "tls_key", "model_path", "model_sha256", "api_keys",
                 "drain_timeout_s", "replicated"}  # fmt: skip

_INTRODUCTION = """\
# Settings

Each setting is an option of the program and a variable in the environment; the option has precedence. This page is
written by `make docs`.

A misspelt option ends the program with status 2 and the nearest name; so does a variable that differs from a setting's
by a letter or so (`SERVICE_MODELPATH`), because the program would go on with another model, or without keys. Any other
unknown `SERVICE_…` or `TRAINING_…` may be a platform's: it is told in the log and has no effect. Those that Kubernetes
sets for a Service named `service` (`SERVICE_PORT_8000_TCP`, …) are passed over, but for `SERVICE_PORT`, which is no
number then: `enableServiceLinks: false` keeps all of them out of a pod, as the chart does.
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
    (
        "Predict",
        "`cnn-predict PICTURES -o answers.csv`, `python -m service.predict`; without `--url` it also takes those of\n"
        "the service that say how a model is used and run, `--class-names` to `--max-image-pixels`:",
        PredictSettings,
    ),
    ("Training", "`make train`, `python -m training`, `cnn-train`:", TrainingSettings),
)

_REQUIRED = {"inputs": "PICTURES", "answers": "-o, --answers"}


def main() -> None:
    """Write the page beside this file, and the names into the chart's schema."""
    PAGE.write_text(settings_page())
    CHART_SCHEMA.write_text(chart_schema())
    sys.stdout.write(f"{PAGE} and {CHART_SCHEMA} are written\n")


def chart_schema() -> str:
    """The schema of the chart's values as it is, with the names of the service's settings of today."""
    schema = json.loads(CHART_SCHEMA.read_text())
    names = [name.upper() for name in ServiceSettings.model_fields if name not in _OF_THE_CHART]
    schema["properties"]["settings"]["propertyNames"]["enum"] = sorted(names)
    return json.dumps(schema, indent=2) + "\n"


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
        if settings is PredictSettings and name in InferenceSettings.model_fields:
            continue
        option = _REQUIRED.get(name) or (name.upper() if field.is_required() else f"--{name.replace('_', '-')}")
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
