"""Recognises what kind of model file a file or folder is, by what is in it and not by its name. Knows no layer."""

import os
import zipfile
from enum import Enum, auto
from pathlib import Path, PurePosixPath

from models.card import ModelFileError
from models.card_storage import ENTRY
from models.regular_files import open_regular
from service.model_files.validation import foreign_files
from service.model_files.validation.foreign_files import HEAD_BYTES, Ends
from service.model_files.validation.hdf5_files import opened_hdf5
from service.model_files.validation.zip_files import opened_zip

CONFIG, METADATA, WEIGHTS, CARD = "config.json", "metadata.json", "model.weights.h5", ENTRY
TEACHABLE_MODEL, TEACHABLE_LABELS = "keras_model.h5", "labels.txt"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


class Format(Enum):
    """The kinds of file that are loaded."""

    HDF5 = auto()
    KERAS = auto()
    TEACHABLE_MACHINE = auto()


def recognise(path: Path) -> Format:
    """The kind of the file at `path`. Raises ModelFileError, which says what else it is and what to do."""
    ends = _ends_of(path)
    if ends.head.startswith(_HDF5_MAGIC):
        _check_is_whole_model(path)
        return Format.HDF5
    if ends.head.startswith(_ZIP_MAGICS):
        with opened_zip(path) as archive:
            return _kind_of_zip(archive)
    raise ModelFileError(foreign_files.describe(ends))


def check_quickly(path: Path) -> None:
    """Raise ModelFileError for what is no regular file, or what its first bytes show to be no model.

    This costs milliseconds and no process of its own, so nothing is parsed here.
    """
    try:
        refuse_folder(path)
        ends = _ends_of(path)
    except FileNotFoundError:
        raise ModelFileError(
            f"there is no model file at {path}; train one with `make train`, or name another file"
        ) from None
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror or error}; name a model file that can be"
        ) from error
    if not ends.head.startswith((_HDF5_MAGIC, *_ZIP_MAGICS)):
        raise ModelFileError(f"{path} is refused: {foreign_files.describe(ends)}")


def refuse_folder(path: Path) -> None:
    """Raise ModelFileError where `path` is a folder that is itself a model of some kind, and say which.

    Raises OSError for a folder that cannot be looked into.
    """
    if not os.path.isdir(path):  # noqa: PTH112 - which says no, and raises nothing, of a name that is too long
        return
    if any((path / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt", "keras_metadata.pb")):
        raise ModelFileError(f"{path} is refused: {foreign_files.SAVED_MODEL}")
    if (path / CONFIG).is_file() and (path / WEIGHTS).is_file():
        raise ModelFileError(
            f"{path} is refused: it is an unpacked .keras file; put {CONFIG}, {METADATA} and {WEIGHTS} into a zip "
            "called model.keras, without a folder around them"
        )
    if (path / "checkpoint").is_file():
        raise ModelFileError(f"{path} is refused: {foreign_files.CHECKPOINT}")
    if (path / "model.json").is_file():
        raise ModelFileError(f"{path} is refused: {foreign_files.TENSORFLOW_JS}")


def _ends_of(path: Path) -> Ends:
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(HEAD_BYTES)
        file.seek(max(0, size - 8))
        return Ends(head, file.read(8), size)


def _check_is_whole_model(path: Path) -> None:
    with opened_hdf5(path) as file:
        if "model_config" in file.attrs:
            return
        # Keras 2 names its layers in an attribute, Keras 3 its variables as groups.
        weights = "layer_names" in file.attrs or {"layers", "vars", "_layer_checkpoint_dependencies"} & set(file)
    raise ModelFileError(foreign_files.WEIGHTS_ONLY if weights else foreign_files.NO_MODEL)


def _kind_of_zip(archive: zipfile.ZipFile) -> Format:
    names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    if CONFIG in names:
        return Format.KERAS
    last_parts = {PurePosixPath(name).name for name in names}
    if TEACHABLE_MODEL in last_parts:
        return Format.TEACHABLE_MACHINE
    raise ModelFileError(_other_zip(names, last_parts))


def _other_zip(names: list[str], last_parts: set[str]) -> str:
    suffixes = {PurePosixPath(name).suffix for name in last_parts}
    kinds = (
        (
            {CONFIG, WEIGHTS} <= last_parts,
            "its entries lie in a folder; make the zip anew from the files themselves, and call it model.keras",
        ),
        (
            not {"saved_model.pb", "keras_metadata.pb"}.isdisjoint(last_parts),
            f"{foreign_files.SAVED_MODEL}; of Teachable Machine's exports take Tensorflow, Keras",
        ),
        ("data.pkl" in last_parts, foreign_files.PYTORCH),
        ("model.json" in last_parts, foreign_files.TENSORFLOW_JS),
        (".tflite" in suffixes, foreign_files.TFLITE),
        (
            not {".h5", ".hdf5", ".keras"}.isdisjoint(suffixes),
            "it is a zip around a model file; unpack it, and name the .h5 or .keras file that was in it",
        ),
        (suffixes == {".npy"}, foreign_files.NUMPY),
    )
    return next(
        (text for fits, text in kinds if fits),
        f"it is a zip of {len(names):,} entries that holds no Keras model; name a .h5 or .keras file, or the zip of "
        "Teachable Machine's Keras export",
    )
