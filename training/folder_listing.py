"""A folder as people lay out their pictures → its listing. Knows no pixels.

It has a subfolder for each class, or `train`, `val` and `test` with these in each.
"""

import os
from pathlib import Path

from models.picture_folders import PART_WORDS, Part, is_system_file
from training.errors import DataError
from training.listing import LeftOut, ListedPicture, Listing, counted, some_of

_MOST_WRAPPERS = 4
_TABLES = (".csv", ".tsv")


def list_folder(folder: Path) -> Listing:
    """Every file below `folder`, with its class and part; classes are in alphabetical order. Raises DataError.

    What is hidden or the system's own is passed over. Links to folders are not followed below a class.
    """
    remarks: list[str] = []
    folder, entries = _unwrapped(folder, remarks)
    parts = _parts(folder, entries, remarks) or {"training": entries}
    names = tuple(sorted({entry.name for entries in parts.values() for entry in entries}))
    if len(names) < 2:
        raise DataError(
            f"{folder} has {counted(len(names), 'subfolder')} with a class, expected one for each class and at least "
            f"two; put the images of each class into a subfolder of its name{_table_advice(folder)}"
        )
    for name in names:
        _check_text(folder, name)
    left_out: list[LeftOut] = []
    pictures: list[ListedPicture] = []
    nested: list[str] = []
    for part, entries in parts.items():
        for entry in entries:
            files, deeper = _files(entry, left_out)
            label = names.index(entry.name)
            pictures += [ListedPicture(path, label, part) for path in files]
            nested += [f"{entry} ({some_of(deeper)})"] if deeper else []
    if nested:
        remarks.append(
            f"{counted(len(nested), 'class folder')} with subfolders, whose images count as of the class: "
            + some_of(nested)
        )
    return Listing(names, tuple(pictures), tuple(left_out), tuple(remarks))


def _check_text(folder: Path, name: str) -> None:
    """Raise DataError for the name of a class that no card could hold."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise DataError(
            f"{folder} has a folder for the class {shown}, which is no UTF-8; expected the name of a class: rename it"
        ) from error


def _unwrapped(folder: Path, remarks: list[str]) -> tuple[Path, list[Path]]:
    """The folder that holds the data, which an archive may have wrapped into others, and its subfolders."""
    subfolders = _subfolders(folder, remarks)
    for _ in range(_MOST_WRAPPERS):
        if len(subfolders) != 1 or _part(subfolders[0]):
            break
        inner: list[str] = []
        deeper = _subfolders(subfolders[0], inner)
        if not deeper:
            break
        remarks += [
            f"{folder} holds one folder alone, {subfolders[0].name}: the classes are looked for in that",
            *inner,
        ]
        folder, subfolders = subfolders[0], deeper
    return folder, subfolders


def _parts(folder: Path, entries: list[Path], remarks: list[str]) -> dict[Part, list[Path]]:
    """The class folders of each part, or nothing where `folder` has no parts."""
    places: dict[Part, Path] = {}
    others = [entry.name for entry in entries if not _part(entry)]
    for entry in entries:
        part = _part(entry)
        if part in places:
            raise DataError(
                f"{folder} has two folders for the {part} part, {places[part].name} and {entry.name}; join them"
            )
        if part:
            places[part] = entry
    if not places:
        return {}
    named = some_of(entry.name for entry in places.values())
    if others:
        raise DataError(
            f"{folder} has both folders that are called as parts of a data set ({named}) and others "
            f"({some_of(others)}), so that it is not clear which are the classes; put the classes into train, or move "
            f"away what is neither; if {named} is a class, call it otherwise, or name the images in a CSV of path,label"
        )
    if "training" not in places:
        raise DataError(
            f"{folder} has {named} and no train; call the folder of the training images so, or name the folder whose "
            "subfolders are the classes"
        )
    parts = {part: _subfolders(place, remarks) for part, place in places.items()}
    for part, classes in list(parts.items()):
        if not classes and part != "training":
            remarks.append(
                f"{places[part]} has no class folders, so that nothing says what its images show: it is not used"
            )
            del parts[part]
    return parts


def _part(entry: Path) -> Part | None:
    return PART_WORDS.get(entry.name.lower())


def _subfolders(folder: Path, remarks: list[str]) -> list[Path]:
    """Those of a folder in which files are not looked for; what lies beside them is told."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not is_system_file(entry.name))
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read as a folder ({error.strerror}); --data takes fashion-mnist, mnist, a folder or a "
            "CSV file"
        ) from error
    subfolders = [entry for entry in entries if entry.is_dir()]
    beside = [entry.name for entry in entries if not entry.is_dir()]
    if subfolders and beside:
        remarks.append(f"{counted(len(beside), 'file')} in {folder} beside its subfolders, not used: {some_of(beside)}")
    return subfolders


def _files(class_folder: Path, left_out: list[LeftOut]) -> tuple[list[Path], list[str]]:
    """All files below the folder of a class, and the names of its subfolders."""

    def unreadable(error: OSError) -> None:
        left_out.append(LeftOut(Path(error.filename), f"the folder cannot be read ({error.strerror})"))

    files: list[Path] = []
    deeper: list[str] = []
    for place, folders, names in os.walk(class_folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        links = [Path(place, name) for name in folders if Path(place, name).is_symlink()]
        left_out += (
            LeftOut(link, "it is a link to a folder, which is not followed; name the folder itself") for link in links
        )
        if Path(place) == class_folder:
            deeper = folders.copy()
        files += (Path(place, name) for name in sorted(names) if not is_system_file(name))
    if len({PART_WORDS.get(name.lower()) for name in deeper} - {None}) > 1:
        raise DataError(
            f"{class_folder} has subfolders that are called as the parts of a data set are ({some_of(deeper)}); put "
            "the parts first, with a subfolder for each class in them"
        )
    return files, deeper


def _table_advice(folder: Path) -> str:
    tables = [entry.name for entry in sorted(folder.iterdir()) if entry.suffix.lower() in _TABLES]
    return f", or, where the classes are in {some_of(tables)}, name that with --data" if tables else ""
