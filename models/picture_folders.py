"""Names among people's folders of pictures that are no class: parts of a data set, and what systems leave behind."""

from typing import Literal

Part = Literal["training", "validation", "test"]

# In any case.
PART_WORDS: dict[str, Part] = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
# What systems, editors and file servers leave among people's files; they also leave names that begin with a dot.
_SYSTEM_NAMES = frozenset(
    (
        "__macosx", "@eadir", "@__thumb", "#recycle", "#snapshot", "$recycle.bin", "system volume information",
        "lost+found", "__pycache__", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
    )
)  # fmt: skip


def is_system_file(name: str) -> bool:
    """Whether a file or folder of that name is no part of anybody's data set."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES
