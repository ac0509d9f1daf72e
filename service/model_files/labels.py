"""The names of classes as people write them down: one a line, or JSON. Knows no model."""

import json
import re
from pathlib import Path
from typing import Any

from models.card import ModelFileError
from models.regular_files import FileTooLargeError, read_regular
from service.model_files.validation.foreign_files import LFS_POINTER, WEB_PAGES

MOST_LABEL_BYTES = 1 << 20
MOST_LABELS = 100_000
_FEWEST_LABELS = 2  # a model with one sigmoid unit has two classes, too


def parse_labels(content: bytes) -> tuple[str, ...]:
    """The names, one a line, without the numbers that Teachable Machine puts before them.

    Raises ModelFileError where it is no UTF-8, or has fewer than two or more than MOST_LABELS lines.
    """
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise ModelFileError("the labels are no UTF-8; save them as UTF-8, one class name a line") from error
    lines = [line for line in lines if line]
    if lines and lines[0].lower().encode().startswith((LFS_POINTER, *WEB_PAGES)):
        raise ModelFileError(
            "the labels are a web page or a Git LFS pointer in place of names; download the file itself, or run "
            "`git lfs pull`"
        )
    if not _FEWEST_LABELS <= len(lines) <= MOST_LABELS:
        raise ModelFileError(f"the labels have {len(lines):,} lines; expected one class name a line, and two at least")
    numbered = [re.fullmatch(rf"0*{number}\s+(\S.*)", line) for number, line in enumerate(lines)]
    # A number is dropped where each line has its own, so that "3 apples" keeps what it counts.
    return tuple(match[1] for match in numbered if match) if all(numbered) else tuple(lines)


def read_labels(path: Path) -> tuple[str, ...]:
    """The names in a file: one a line, or JSON as `{"cat": 0}`, `{"0": "cat"}` or a list. Raises ModelFileError."""
    content = read_bounded(path)
    try:
        return _from_json(json.loads(content)) if path.suffix == ".json" else parse_labels(content)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFileError(f'{path} names no classes; expected JSON such as {{"cat": 0, "dog": 1}}') from error


def read_bounded(path: Path) -> bytes:
    """The bytes of a small file. Raises ModelFileError for one that is no file, or too large."""
    try:
        return read_regular(path, MOST_LABEL_BYTES)
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}") from error
    except FileTooLargeError as error:
        raise ModelFileError(
            f"{path} has more than {MOST_LABEL_BYTES:,} bytes, too many for what stands beside a model"
        ) from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}); put a small file there, or none") from error


def _from_json(given: Any) -> tuple[str, ...]:
    if isinstance(given, dict):
        if all(isinstance(index, int) for index in given.values()):
            given = {str(index): name for name, index in given.items()}
        given = [given[str(index)] for index in range(len(given))]
    if not (isinstance(given, list) and len(given) >= _FEWEST_LABELS and all(isinstance(name, str) for name in given)):
        raise TypeError("no list of names")
    "".join(given).encode()  # half a character, which JSON can hold, could not be answered with
    return tuple(given)
