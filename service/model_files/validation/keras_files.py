"""Makes of an untrusted `.keras` one that is safe to load: written anew, from what was checked. Knows no Keras.

Nothing of the zip that somebody sent reaches Keras, only the description, the weights and the card that were in it.
"""

import json
import zipfile
from pathlib import Path

from models.card import ModelFileError
from models.card_storage import MOST_ENTRY_BYTES
from service.errors import writing_temporary_files
from service.model_files.validation.building import quick_to_build
from service.model_files.validation.description import safe_description
from service.model_files.validation.formats import CARD, CONFIG, METADATA, WEIGHTS
from service.model_files.validation.hdf5_copy import MOST_CONFIG_BYTES, copy_weights, parsed
from service.model_files.validation.zip_files import check_entries, opened_zip, read_entry, unpack_entry

_MOST_METADATA_BYTES = 64 << 10


def rebuild(original: Path, target: Path, max_bytes: int) -> None:
    """Write to `target` a `.keras` with what may be loaded of the one at `original`, which is removed.

    Raises ModelFileError for what a model for images has no need of, or beyond `max_bytes` in all; StorageFailed.
    """
    weights = target.with_name(WEIGHTS)
    config, metadata, card = _unpack(original, weights, max_bytes)
    description = _checked(parsed(config, CONFIG))
    checked = target.with_name("checked.weights.h5")
    _copy_weights(weights, checked, max_bytes)
    with writing_temporary_files():
        weights.unlink()
        with zipfile.ZipFile(target, "x") as made:
            made.writestr(CONFIG, json.dumps(description))
            # Keras unpacks the whole of a zip with more than three entries, and reads all of these but the metadata.
            made.writestr(*((METADATA, metadata) if card is None else (CARD, card)))
            made.write(checked, WEIGHTS)
        checked.unlink()


def _unpack(original: Path, weights: Path, max_bytes: int) -> tuple[bytes, bytes, bytes | None]:
    """The description, the metadata and the card in the zip at `original`, whose weights are written to `weights`."""
    with opened_zip(original) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        _check_names(entries)
        check_entries(archive, list(entries.values()), max_bytes)
        config = read_entry(archive, entries[CONFIG], MOST_CONFIG_BYTES)
        metadata = read_entry(archive, entries[METADATA], _MOST_METADATA_BYTES) if METADATA in entries else b"{}"
        card = read_entry(archive, entries[CARD], MOST_ENTRY_BYTES) if CARD in entries else None
        unpack_entry(archive, entries[WEIGHTS], weights, max_bytes)
    with writing_temporary_files():
        original.unlink()
    return config, metadata, card


def _check_names(entries: dict[str, zipfile.ZipInfo]) -> None:
    if any(name.startswith("assets/") for name in entries):
        raise ModelFileError(
            "it has assets, as layers that look words up keep them (StringLookup, TextVectorization); a model for "
            "images has no need of such layers: build it without them, and save it anew"
        )
    if "model.weights.npz" in entries:
        raise ModelFileError(
            "its weights are a .npz, which is not read here; save it anew with model.save('name.keras')"
        )
    if missing := {CONFIG, WEIGHTS} - entries.keys():
        raise ModelFileError(f"it has no {' and no '.join(sorted(missing))}, which every .keras file has; save it anew")
    if others := entries.keys() - {CONFIG, METADATA, WEIGHTS, CARD}:
        raise ModelFileError(
            f"it has {min(others)!r:.60} in it, which no .keras file has; save it anew with model.save('name.keras')"
        )


def _checked(config: object) -> object:
    try:
        return quick_to_build(safe_description(config))
    except RecursionError as error:
        raise ModelFileError("its description of the model is nested too deeply") from error


def _copy_weights(weights: Path, copy: Path, max_bytes: int) -> None:
    try:
        copy_weights(weights, copy, max_bytes)
    except ModelFileError as error:
        raise ModelFileError(f"of its {WEIGHTS}: {error}") from error
