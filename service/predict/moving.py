"""Moves pictures into a folder for each class: never over another file, and nothing is lost where it is stopped.

Each move is noted before it begins, so that one that a kill interrupted is brought to its end. Knows no model.
"""

import csv
import errno
import filecmp
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from service.predict.errors import Stopped, WrongUse
from service.predict.journal import Journal
from service.predict.reading import version_of
from service.predict.tables import published, shown_path

# Separators, what ends a name elsewhere, and what other systems take for something else.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_MOST_BYTES, _MOST_BYTES_OF_A_NAME = 200, 255


def folder_name(label: str) -> str:
    """The name of a class as one of a folder: what is not safe in one is an underscore."""
    name = _UNSAFE.sub("_", label).strip()
    name = name.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore").rstrip(". ")
    return f"_{name}" if not name or name.startswith(".") else name


def folders_of(labels: set[str]) -> dict[str, str]:
    """The folder of each class; of two that would have one, the later by name has a number behind it."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted(labels):
        name = folder_name(label)
        for number in count(2):
            if name.lower() not in taken:
                break
            name = f"{folder_name(label)}-{number}"
        taken.add(name.lower())
        folders[label] = name
    return folders


def check_folder(folder: Path, inputs: Iterator[Path]) -> None:
    """Raise WrongUse where pictures in `inputs` cannot be moved to `folder`."""
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"--move-to {folder} is no folder; name another")
    for one in inputs:
        if one.is_dir() and one.resolve().is_relative_to(folder.resolve()):
            raise WrongUse(f"--move-to {folder} has the pictures of {one} in it already; name another folder")


def check_list(target: Path) -> None:
    """Raise WrongUse where another run's list is at `target`: nothing else says where its pictures came from."""
    if os.path.lexists(target):
        raise WrongUse(
            f"there already is {target}, which says where pictures went; move it away, or name another table with -o"
        )


def move_all(
    journal: Journal, folder: Path, paths: list[str], moved: Callable[[], None], tell: Callable[[str], None]
) -> None:
    """Move the pictures at `paths` that have an answer; `moved` is called after each. Raises Stopped."""
    begun = dict(journal.moves)
    labels: dict[str, str] = {}
    for path, row in zip(paths, journal.rows(paths), strict=True):
        if "problem" not in row:
            labels[path] = row["label"]
    folders = folders_of(set(labels.values()))
    left = 0
    try:
        for path, label in labels.items():
            if path in begun and _finished(path, Path(begun[path])):
                moved()
                continue
            if version_of(path) != journal.version(path) or Path(path).is_symlink():
                left += 1
                continue
            place = folder / folders[label]
            place.mkdir(parents=True, exist_ok=True)
            if not Path(path).parent.samefile(place):
                _move(Path(path), place, journal)
            moved()
    except OSError as error:
        raise Stopped(f"{path} cannot be moved to {folder} ({error.strerror or error})") from error
    if left:
        tell(f"{left:,} pictures are links, or were changed or removed since they were answered, and are not moved")


def write_list(target: Path, journal: Journal) -> None:
    """Write from where each picture was moved to where, as CSV. Raises Stopped."""
    with published(target) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("path", "moved_to"))
        for path, place in dict(journal.moves).items():
            if Path(place).exists() and not os.path.lexists(path):
                table.writerow((shown_path(path), shown_path(place)))


def _finished(path: str, target: Path) -> bool:
    """Whether that move, begun before, is over; what is left of it to be done is done."""
    if not target.exists():
        return False
    if not os.path.lexists(path):
        return True
    if target.stat().st_size == 0 != Path(path).stat().st_size:
        target.unlink()  # its place was taken, and no more
        return False
    if not filecmp.cmp(path, target, shallow=False):
        return False
    Path(path).unlink()  # it was copied to another file system, whole
    return True


def _numbered(name: str, number: int) -> str:
    """The name with the number behind its stem, which is cut where it would be longer than a name may be."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a name alone, which need not be one of a path
    if len(os.fsencode(suffix)) > _MOST_BYTES:
        stem, suffix = name, ""
    while len(os.fsencode(f"{stem}-{number}{suffix}")) > _MOST_BYTES_OF_A_NAME:
        stem = stem[:-1]
    return f"{stem}-{number}{suffix}"


def _move(path: Path, place: Path, journal: Journal) -> None:
    """Raises OSError."""
    for number in count(1):
        target = place / (path.name if number == 1 else _numbered(path.name, number))
        if os.path.lexists(target):
            continue
        journal.begin_move(str(path), str(target))
        try:
            target.open("xb").close()  # so that nobody else takes the name
        except FileExistsError:
            continue
        break
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            target.unlink()
            raise
        _copy(path, target)
        path.unlink()


def _copy(path: Path, target: Path) -> None:
    """To another file system, over the empty file there."""
    # Always the same for a target, so that what a kill leaves is written over, and never that of another target.
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()
    beside = target.with_name(f".{digest}.partial")
    try:
        shutil.copy2(path, beside)
        with beside.open("rb") as copied:
            os.fsync(copied.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        raise
