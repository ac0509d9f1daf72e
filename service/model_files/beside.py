"""What the files beside a model file say of it: labels, class indices, a card. Knows no Keras.

They are read as they are, never as code, and never more than a few bytes of them.
"""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.card import ModelCard, ModelFileError
from models.specification import Facts, Source

_MOST_BYTES = 1 << 20
_NUMBERED = re.compile(r"(\d+)\s+(\S.*)")


def sources_beside(path: Path) -> list[Source]:
    """What stands beside the model file at `path`, the most particular first.

    `<name>.card.json`, `<name>.labels.txt`, `labels.txt` and `class_indices.json`. Raises ModelFileError for one that
    cannot be read.
    """
    folder = path.parent
    card = folder / f"{path.stem}.card.json"
    sources = [Source(_card_facts(card), card.name)] if card.is_file() else []
    labels = (folder / f"{path.stem}.labels.txt", folder / "labels.txt", folder / "class_indices.json")
    return sources + [Source(Facts(class_names=read_labels(file)), file.name) for file in labels if file.is_file()]


def read_labels(path: Path) -> tuple[str, ...]:
    """The names of the classes in a file: one a line, or JSON as `{"cat": 0}`, `{"0": "cat"}` or a list.

    Teachable Machine's number before each is dropped. Raises ModelFileError, also for fewer than two.
    """
    text = _text(path)
    try:
        names = _from_json(json.loads(text)) if path.suffix == ".json" else _from_lines(text)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFileError(
            f'{path} names no classes; expected one a line, or JSON such as {{"cat": 0, "dog": 1}}'
        ) from error
    if len(names) < 2:
        raise ModelFileError(f"{path} has {len(names)} names, expected one for each class, and two at least")
    return names


def _from_lines(text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if all(found and int(found[1]) == place for place, found in enumerate(numbered)):
        return tuple(found[2] for found in numbered if found)
    return tuple(lines)


def _from_json(given: Any) -> tuple[str, ...]:
    if isinstance(given, dict):
        if all(isinstance(index, int) for index in given.values()):
            given = {str(index): name for name, index in given.items()}
        given = [given[str(index)] for index in range(len(given))]
    if not (isinstance(given, list) and all(isinstance(name, str) for name in given)):
        raise TypeError("no list of names")
    return tuple(given)


def _card_facts(path: Path) -> Facts:
    text = _text(path)
    try:
        given = json.loads(text)
        if isinstance(given, dict) and "input" in given:
            return Facts.of_card(ModelCard.model_validate(given))
        return Facts.model_validate(given)
    except (ValueError, TypeError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else f"{error}"
        raise ModelFileError(
            f"{path} cannot be read as a card ({reason:.200}); expected JSON such as "
            '{"class_names": ["cat", "dog"], "pixels": "-1..1", "fit": "crop"}, or all that /model-card shows'
        ) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ModelFileError(f"{path} has more than {_MOST_BYTES:,} bytes, too many for what stands beside a model")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path} cannot be read as text ({error})") from error
