"""The files of versions that are no longer in the model's place, kept for workers that start later.

They lie in the folder that all workers share, each with all that is known of the model in a card beside it. Knows
neither an engine nor HTTP.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from models.file_version import file_version
from service.errors import NotSupported, writing_temporary_files
from service.inference.model_runner import ModelRunner
from service.model_files.source import path_of

# What a folder is called whose file is not whole yet. A version is of hexadecimal digits.
_BEGUN = "new-"


def kept_file(folder: Path, place: Path, version: str) -> Path:
    """Where in `folder` the file of `version` of the model at `place` is kept, if it is.

    As in a folder of numbered versions, so that the model has its name there, too.
    """
    return folder / "kept" / hashlib.sha256(bytes(place)).hexdigest()[:32] / place.stem / version / place.name


def keep_file(folder: Path, place: Path, runner: ModelRunner) -> None:
    """Keep the file that `runner` runs, of the model at `place`.

    Raises NotSupported where it is there no longer, or StorageFailed.
    """
    source = runner.engine.source
    file = kept_file(folder, place, runner.version)
    if file.exists():
        return
    with writing_temporary_files():
        file.parent.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=file.parent.parent, prefix=_BEGUN))
        try:
            if source is None:
                raise NotSupported(
                    f"version {runner.version} could not be loaded by a worker that starts later: the engine that runs "
                    "it holds no file; use another --engine, or put the old file back and load it"
                )
            shutil.copyfile(path_of(source.fileno()), beside / file.name)
            if file_version(beside / file.name) != runner.version:
                raise NotSupported(
                    f"version {runner.version} could not be loaded by a worker that starts later, because its file was "
                    "written over; put each new file beside the old one and rename it, or put the old file back and "
                    "load it"
                )
            # What it only assumes is assumed in the same way there: of the same file, under the same name.
            (beside / f"{file.stem}.card.json").write_text(runner.card.model_dump_json())
            with suppress(FileExistsError, NotADirectoryError):  # another worker was faster
                beside.rename(file.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def kept_versions(folder: Path, place: Path) -> dict[str, Path]:
    """The versions of the model at `place` whose files are kept, the one that was kept last first."""
    kept = kept_file(folder, place, "").parent
    found = [entry for entry in kept.glob("*") if not entry.name.startswith(_BEGUN)]
    found.sort(key=lambda entry: entry.stat().st_ctime_ns, reverse=True)
    return {entry.name: entry / place.name for entry in found}


def drop_all_but(folder: Path, place: Path, versions: Collection[str]) -> None:
    """Keep no version of the model at `place` but these."""
    for version, file in kept_versions(folder, place).items():
        if version not in versions:
            shutil.rmtree(file.parent, ignore_errors=True)
