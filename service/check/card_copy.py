"""Writes a copy of a model file that says itself how it is to be used: whole, or not at all. Knows no picture."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.card import ModelCard, ModelFileError, write_card
from models.card_storage import is_zip
from models.specification import Facts, Finding
from models.whole_files import whole_file
from service.check.errors import CheckError
from service.model_files.loading import load_model
from service.model_files.private_folder import private_folder
from service.model_files.snapshot import ModelFileLimits, copy_bounded, snapshot
from service.model_files.validation import teachable_zip
from service.model_files.validation.process import KERAS_NAME


def check_target(model: Path, target: Path, force: bool) -> None:
    """Raise CheckError, before anything takes long, where no copy of `model` can be written to `target`."""
    if target.exists():
        if not target.is_file() or (model.exists() and target.samefile(model)):
            raise CheckError(f"{target} is the model itself, or no file; name another for the copy with --write-card")
        if not force:
            raise CheckError(f"there already is {target}; name another with --write-card, or replace it with --force")
    if not target.parent.is_dir():
        raise CheckError(f"there is no folder {target.parent}; make it, or name another file with --write-card")


def write_copy(model: Path, target: Path, card: ModelCard, limits: ModelFileLimits) -> list[Finding]:
    """Write to `target` the file at `model` with `card`, and return what is still guessed of the copy, as it loads.

    Of Teachable Machine's zip it is the model inside. Raises CheckError, ModelFileError, StorageFailed; what was at
    `target` is then as it was.
    """
    with snapshot(model, limits) as validated, private_folder() as place, _published(target) as beside:
        original = place / "original"
        if not copy_bounded(model, original, limits.max_bytes).startswith(validated.version):
            raise CheckError(f"{model} was changed meanwhile; check it again")
        suffixes = (".keras",) if validated.path.name == KERAS_NAME else (".h5", ".hdf5")
        if target.suffix not in suffixes:
            raise CheckError(
                f"{target} ends in {target.suffix or 'nothing'}, but the copy of this model is a {suffixes[0]}; name "
                "it so with --write-card"
            )
        if suffixes != (".keras",) and is_zip(original):
            inside = place / "inside"
            teachable_zip.unpack(original, inside, limits.max_bytes)
            original = inside
        shutil.copyfile(original, beside)
        try:
            write_card(beside, card)
        except ValueError as error:
            raise CheckError(f"{target} was not written: {error}") from error
        try:
            found = load_model(beside, Facts(), limits)
        except ModelFileError as error:
            raise CheckError(f"{target} was not written: the copy cannot be loaded ({error})") from error
    return [finding for finding in found.findings if finding.guessed]


@contextmanager
def _published(target: Path) -> Iterator[Path]:
    """A file beside `target`, which takes its place once it is whole. Raises CheckError where it cannot be written."""
    try:
        with whole_file(target) as beside:
            yield beside
    except OSError as error:
        raise CheckError(f"{target} was not written ({error.strerror or error}); name another with --write-card") from (
            error
        )
