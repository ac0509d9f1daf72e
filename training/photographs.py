"""Photographs by people, in a folder for each class that they show. Knows no network."""

import re
from pathlib import Path
from typing import NamedTuple

from training.errors import DataError


class PhotographKind(NamedTuple):
    """Photographs in one folder, and the classes of a model, by index, that are right for them."""

    folder: Path
    right: frozenset[int]
    files: tuple[Path, ...]


def find_photographs(folder: Path, class_names: tuple[str, ...]) -> list[PhotographKind]:
    """The subfolders of `folder`, each called as a class, or as several that are right, joined by `+`.

    Only letters and digits of a name count, and not their case: `t-shirt-top` is `T-shirt/top`. Raises DataError for a
    folder that names no class, has no file, or where there is none.
    """
    indices = {_plain(name): index for index, name in enumerate(class_names)}
    kinds = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        names = entry.name.split("+")
        right = frozenset(indices[_plain(name)] for name in names if _plain(name) in indices)
        if len(right) < len(names):
            raise DataError(f"{entry} is called as no class of the model; its classes: {', '.join(class_names)}")
        files = tuple(sorted(file for file in entry.iterdir() if file.is_file() and not file.name.startswith(".")))
        if not files:
            raise DataError(f"there is no photograph in {entry}; put some there, or remove it")
        kinds.append(PhotographKind(entry, right, files))
    if not kinds:
        raise DataError(f"{folder} has no subfolder of photographs; make one for each class, called as the class is")
    return kinds


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()
