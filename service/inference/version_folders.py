"""Folders of numbered versions, `name/1/model.keras`, as TensorFlow Serving has them. Knows no Keras.

A version is there once its folder holds a model file. What writes one makes the folder under another name, or the file
under one that begins with a dot or ends in no suffix of a model, and renames it when it is whole.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from models.card import ModelFileError
from service.model_files.validation.formats import refuse_folder

SUFFIXES = (".h5", ".hdf5", ".keras", ".zip")  # a zip is one of Teachable Machine's
_NUMBER = re.compile(r"[0-9]{1,18}")  # as far as TensorFlow Serving's int64 goes


def is_version_folder(place: Path) -> bool:
    """Whether it is a folder with a subfolder whose name is a number."""
    return next(_numbered(place), None) is not None


def version_files(place: Path) -> dict[int, Path]:
    """The model file of each version, the highest number first; without those that are not there yet or are none."""
    found: dict[int, Path] = {}
    for number, folder in _numbered(place):
        files = model_files_in(folder)
        if len(files) == 1 and not _refused(folder):
            found.setdefault(number, files[0])
    return dict(sorted(found.items(), reverse=True))


def refused_versions(place: Path) -> list[str]:
    """Why what has a number there is no version, and what to do; nothing of a folder that has no model file yet."""
    return list(refused_folders(place).values())


def refused_folders(place: Path) -> dict[Path, str]:
    """The same by the folder with that number."""
    reasons = {}
    for _, folder in _numbered(place):
        files = model_files_in(folder)
        if reason := _refused(folder):
            reasons[folder] = reason
        elif len(files) > 1:
            names = " and ".join(file.name for file in files)
            reasons[folder] = f"{folder} is refused: a version is one model file, and it has {names}; keep one of them"
    return reasons


def newest_file(place: Path) -> Path:
    """The model file at `place`: itself, or of a version folder that of the highest number. Raises ModelFileError."""
    if not is_version_folder(place):
        return place
    file = next(iter(version_files(place).values()), None)
    if file is None:
        none = f"no version in {place} has a file that ends in {', '.join(SUFFIXES)}; put one into {place}/1"
        raise ModelFileError(next(iter(refused_versions(place)), none))
    return file


def signed_files(place: Path) -> list[Path]:
    """All that tells whether the versions at `place` have changed; `place` itself where it has none."""
    if not place.is_dir():
        return [place]
    return [file for _, folder in _numbered(place) for file in (*model_files_in(folder), folder / "saved_model.pb")]


def model_files_in(folder: Path) -> list[Path]:
    """Its files by name. A name that begins with a dot is that of a file which is still being written."""
    return [file for file in sorted(folder.glob("*")) if file.suffix in SUFFIXES and not file.name.startswith(".")]


def name_of(place: Path) -> str:
    """What the model at `place` is called: as its file without the suffix, or as its version folder."""
    return place.resolve().name if is_version_folder(place) else place.stem


def given_name(file: Path, model_path: Path, model_name: str | None) -> str | None:
    """What the model in `file` is called because of where it lies; None where its card, or its file, tells that.

    `model_path` is what the operator named, `model_name` how he wants the one model there to be called.
    """
    if not model_path.is_dir():
        return None
    return file.stem if file.parent == model_path else model_name or file.parent.parent.resolve().name


def _numbered(place: Path) -> Iterator[tuple[int, Path]]:
    try:
        entries = sorted(place.iterdir()) if place.is_dir() else []
    except OSError:  # gone meanwhile, or not ours to look into
        return
    for entry in entries:
        if _NUMBER.fullmatch(entry.name) and entry.is_dir():
            yield int(entry.name), entry


def _refused(folder: Path) -> str | None:
    try:
        refuse_folder(folder)
    except (ModelFileError, OSError) as error:
        return str(error)
    return None
