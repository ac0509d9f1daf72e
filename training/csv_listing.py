"""A CSV file that names pictures and their classes → its listing. Knows no pixels."""

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from models.picture_folders import PART_WORDS, Part
from models.regular_files import read_regular
from training.errors import DataError
from training.listing import LeftOut, ListedPicture, Listing, counted, some_of

_MOST_BYTES = 200_000_000
_DELIMITERS = ",;\t"
# Without case, spaces and what joins words: `File_Name` is `filename`.
_PATH = ("path", "file", "filename", "filepath", "image", "imagepath")
_LABEL = ("label", "class", "category", "target")
_PART = ("split", "part", "set", "subset")
_EXPECTED = (
    "a first line that names the columns: path (or file, filename, image), label (or class, category, target) and, "
    "where the parts are given, split (or part, set, subset)"
)


class _Row(NamedTuple):
    line: int
    path: str
    label: str
    part: Part


def list_csv(table: Path) -> Listing:
    """Every picture that a CSV file names, with its class and part; a path is relative to the file's folder.

    The delimiter is a comma, a semicolon or a tab. Classes are in alphabetical order, or in that of their numbers where
    all are whole numbers. Raises DataError.
    """
    rows: dict[str, _Row] = {}
    left_out: list[LeftOut] = []
    repeated = 0
    for row in _rows(table):
        path = table.parent / row.path
        if not row.label:
            left_out.append(LeftOut(path, f"line {row.line} of {table.name} gives it no class"))
            continue
        before = rows.setdefault(os.path.realpath(path), row)
        repeated += before is not row
        if (before.label, before.part) != (row.label, row.part):
            raise DataError(
                f"{table} names {row.path} twice: in line {before.line} as {before.label}, for {before.part}, and in "
                f"line {row.line} as {row.label}, for {row.part}; keep one of the two"
            )
    names = _ordered({row.label for row in rows.values()})
    if len(names) < 2:
        raise DataError(f"{table} names {len(names)} classes ({some_of(names)}), expected at least two")
    index = {name: label for label, name in enumerate(names)}
    pictures = tuple(ListedPicture(table.parent / row.path, index[row.label], row.part) for row in rows.values())
    again = f"{table} names files again, in {counted(repeated, 'line')}; each file counts once"
    return Listing(names, pictures, tuple(left_out), (again,) if repeated else ())


def _rows(table: Path) -> Iterator[_Row]:
    text = _text(table)
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=first.count), skipinitialspace=True, strict=True
    )
    try:
        lines = ((reader.line_num, [field.strip() for field in line]) for line in reader if any(map(str.strip, line)))
        _, header = next(lines, (0, []))
        path, label, part = _columns(table, header)
        for number, line in lines:
            if len(line) != len(header):
                raise DataError(
                    f"line {number} of {table} has {len(line)} fields and its first line {len(header)}; put a field "
                    "that holds the delimiter into double quotes"
                )
            if not line[path]:
                raise DataError(f"line {number} of {table} names no file; add its path, or remove the line")
            yield _Row(
                number, line[path], line[label], "training" if part is None else _part(table, number, line[part])
            )
    except csv.Error as error:
        raise DataError(f"line {reader.line_num} of {table} is no CSV: {error}") from error


def _text(table: Path) -> str:
    advice = "--data takes a folder, or a CSV file in UTF-8; unpack an archive, and save a spreadsheet as CSV UTF-8"
    try:
        text = read_regular(table, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{table} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{table} is no text in UTF-8; {advice}") from error
    if "\0" in text:
        raise DataError(f"{table} is no text; {advice}")
    return text


def _columns(table: Path, header: list[str]) -> tuple[int, int, int | None]:
    """Where the path, the label and, if it is there, the part stand in each line."""
    names = [re.sub(r"[\s_-]", "", name).lower() for name in header]
    path, label, part = (
        [index for index, name in enumerate(names) if name in known] for known in (_PATH, _LABEL, _PART)
    )
    if len(path) != 1 or len(label) != 1 or len(part) > 1:
        raise DataError(
            f"{table} begins with the columns {some_of(header) or '(none)'}; expected {_EXPECTED}, each of them once"
        )
    return path[0], label[0], part[0] if part else None


def _part(table: Path, number: int, word: str) -> Part:
    try:
        return PART_WORDS[word.lower()]
    except KeyError:
        raise DataError(
            f"line {number} of {table} gives the part as {word or 'nothing'}, expected train, val or test"
        ) from None


def _ordered(names: set[str]) -> tuple[str, ...]:
    # Python refuses to turn more than 4,300 digits into a number.
    if all(re.fullmatch(r"-?\d{1,4000}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
