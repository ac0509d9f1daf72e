"""What the platforms that run containers tell by their environment, as settings of the service.

Knows no HTTP. An option, or a variable of the service's own, comes before a platform's: see docs/clouds.md.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import NamedTuple

from service.inference.model_folder import models_in
from service.inference.version_folders import is_version_folder
from service.model_address import scheme_of, shown
from service.settings import ENVIRONMENT_PREFIX, ServiceSettings

# Of several that are set the first counts. The image's health check looks at the same ones.
PORT_VARIABLES = ("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT", "PORT")
# It is always a folder's, in a bucket: what --model-path takes for one ends in a slash.
_FOLDER = "AIP_STORAGE_URI"
_VARIABLES = {
    "port": PORT_VARIABLES,
    "model_path": (_FOLDER, "AZUREML_MODEL_DIR"),
    "health_route": ("AIP_HEALTH_ROUTE",),
    "predict_route": ("AIP_PREDICT_ROUTE",),
}
# Cloud Run gives an idle container no processor, so that it stands still for minutes and is well.
_IDLE = "K_SERVICE"
_LONGEST_IDLE_S = "86400.0"
# SageMaker starts an image with this argument, and says by nothing else that it does.
SERVE = "serve"
_SAGEMAKER = {"port": "8080", "health_route": "/ping", "predict_route": "/invocations"}
_SAGEMAKER_MODEL = Path("/opt/ml/model")
# Platforms put a model into folders named after it and its version.
_MOST_FOLDERS = 4


class Told(NamedTuple):
    """What a platform says of one setting, and by what."""

    setting: str
    value: str
    source: str


def adopt(
    arguments: list[str], environment: MutableMapping[str, str] = os.environ, sagemaker_model: Path = _SAGEMAKER_MODEL
) -> list[Told]:
    """Write what a platform says to the service's own variables that are not set, and return what it says.

    SageMaker's argument is taken out of `arguments`, those of a command line without the program's name.
    """
    told = [
        Told(setting, _folder(value) if name == _FOLDER else value, name)
        for setting, names in _VARIABLES.items()
        for name in names
        if (value := environment.get(name))
    ]
    if environment.get(_IDLE):
        told.append(Told("watchdog_timeout_s", _LONGEST_IDLE_S, _IDLE))
    if arguments[:1] == [SERVE]:
        del arguments[0]
        told += [Told(setting, value, f"the argument {SERVE!r}") for setting, value in _SAGEMAKER.items()]
        if any(sagemaker_model.glob("*")):
            told.append(Told("model_path", str(sagemaker_model), str(sagemaker_model)))
    first = list({one.setting: one for one in reversed(told)}.values())[::-1]
    chosen = [one._replace(value=_with_models(one.value)) if one.setting == "model_path" else one for one in first]
    own = {name.upper() for name in environment}
    for setting, value, _ in chosen:
        name = ENVIRONMENT_PREFIX + setting.upper()
        if name not in own:
            environment[name] = value
    return chosen


def sentences(told: list[Told], settings: ServiceSettings) -> list[str]:
    """For the log: where each setting that a platform speaks of comes from."""
    said = []
    for setting, value, source in told:
        option, used = setting.replace("_", "-"), getattr(settings, setting)
        if str(used).rstrip("/") in {value.rstrip("/"), str(Path(value))}:
            said.append(f"--{option} {shown(value)}: from {source}")
        else:
            said.append(
                f"--{option} {shown(str(used))}: given as an option or as {ENVIRONMENT_PREFIX}{setting.upper()}, which "
                f"comes before {source} ({shown(value)})"
            )
    return said


def _folder(value: str) -> str:
    return f"{value.rstrip('/')}/" if scheme_of(value) == "gs" else value


def _with_models(given: str) -> str:
    """The folder in which the models lie: in `given` itself, or in its only folder, and so on."""
    folder = Path(given)
    for _ in range(_MOST_FOLDERS):
        if not folder.is_dir() or _has_models(folder):
            break
        inner = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        if len(inner) != 1:
            break
        (folder,) = inner
    return str(folder) if folder != Path(given) and _has_models(folder) else given  # which may be an address


def _has_models(folder: Path) -> bool:
    return is_version_folder(folder) or bool(models_in(folder))
