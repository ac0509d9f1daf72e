"""The model and the class names in the zip of Teachable Machine's Keras export. Knows no Keras and no HTTP."""

import zipfile
from pathlib import Path, PurePosixPath

from models.card import ModelFileError
from service.errors import writing_temporary_files
from service.model_files.labels import MOST_LABEL_BYTES, parse_labels
from service.model_files.validation.formats import TEACHABLE_LABELS, TEACHABLE_MODEL
from service.model_files.validation.zip_files import check_entries, opened_zip, read_entry, unpack_entry


def unpack(original: Path, target: Path, max_bytes: int) -> tuple[str, ...] | None:
    """Write the model in the zip at `original`, which is removed, to `target`, and return its class names, if any.

    The model is not checked here. Raises ModelFileError, also beyond `max_bytes`; StorageFailed.
    """
    with opened_zip(original) as archive:
        model = _only(archive, TEACHABLE_MODEL)
        if model is None:
            raise ModelFileError(f"it has no {TEACHABLE_MODEL}; export the model again")
        labels = _only(archive, TEACHABLE_LABELS)
        check_entries(archive, [entry for entry in (model, labels) if entry], max_bytes)
        names = None if labels is None else parse_labels(read_entry(archive, labels, MOST_LABEL_BYTES))
        unpack_entry(archive, model, target, max_bytes)
    with writing_temporary_files():
        original.unlink()
    return names


def _only(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo | None:
    """The entry of that name, at the top or within one folder. Raises ModelFileError where there are several."""
    found = [
        entry
        for entry in archive.infolist()
        if PurePosixPath(entry.filename).name == name
        and len(PurePosixPath(entry.filename).parts) <= 2
        and not entry.filename.startswith("__MACOSX/")
    ]
    if len(found) > 1:
        raise ModelFileError(f"it has {len(found)} files called {name}; make a zip of one export alone")
    return found[0] if found else None
