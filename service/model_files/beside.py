"""What the files beside a model file say of it: labels, class indices, a card. Knows no Keras.

They are read as they are, never as code, and never more than a few bytes of them.
"""

import json
import os
from pathlib import Path

from pydantic import ValidationError

from models.card import ModelCard, ModelFileError
from models.specification import Facts, Source
from service.model_files.labels import read_bounded, read_labels


def sources_beside(path: Path) -> list[Source]:
    """What stands beside the model file at `path`, the most particular first.

    `<name>.card.json`, `<name>.labels.txt`, `labels.txt` and `class_indices.json`. Raises ModelFileError for one that
    cannot be read.
    """
    card, *labels = names_beside(path)
    # What is there and cannot be read is told, and not passed over: the names in it may have been meant.
    sources = [Source(_card_facts(card), card.name)] if os.path.lexists(card) else []
    there = (file for file in labels if os.path.lexists(file))
    return sources + [Source(Facts(class_names=read_labels(file)), file.name) for file in there]


def names_beside(path: Path) -> list[Path]:
    """Where files may stand that say something of the model file at `path`, in the order in which they count."""
    names = (f"{path.stem}.card.json", f"{path.stem}.labels.txt", "labels.txt", "class_indices.json")
    return [path.with_name(name) for name in names]


def _card_facts(path: Path) -> Facts:
    content = read_bounded(path)
    try:
        given = json.loads(content)
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
