"""The loss that a model was compiled with, as its validated file tells it. Knows no Keras."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py

from models.card_storage import is_zip
from models.head import Loss

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def loss_of(copy: Path, output: str | None) -> Loss | None:
    """The loss that the model was compiled with, of the `output` that is read; None where the file does not say."""
    try:
        if is_zip(copy):
            with zipfile.ZipFile(copy) as archive:
                compiled = json.loads(archive.read("config.json")).get("compile_config")
        else:
            with h5py.File(copy) as file:
                compiled = json.loads(file.attrs.get("training_config", "null"))
        return _loss((compiled or {}).get("loss"), output)
    except (KeyError, TypeError, ValueError, OSError):  # nothing else depends on it
        return None


def _loss(given: Any, output: str | None) -> Loss | None:
    if isinstance(given, list):
        return _loss(given[0], output) if len(given) == 1 else None
    if isinstance(given, str):
        return Loss(_WORD.sub("_", given).lower()[:60])
    if not isinstance(given, dict):
        return None
    if "class_name" not in given:
        return _loss(given.get(output), output) if output in given else None
    config = given.get("config")
    if given["class_name"] == "function":
        return _loss(config if isinstance(config, str) else None, output)
    logits = isinstance(config, dict) and bool(config.get("from_logits"))
    return Loss(_WORD.sub("_", str(given["class_name"])).lower()[:60], logits)
