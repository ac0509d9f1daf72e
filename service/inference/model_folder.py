"""Which files of a folder are models, and by what names they are called. Looks into none of them."""

from pathlib import Path

from models.card import ModelFileError
from service.model_files.validation.formats import refuse_folder

SUFFIXES = (".h5", ".hdf5", ".keras", ".zip")  # a zip is one of Teachable Machine's


def model_files(path: Path, default: str | None) -> list[Path]:
    """The files that `path` names: itself, or each model in it, the one called `default` or else the first before all.

    Raises ModelFileError where a folder has none, or not that one, or two of one name, or is itself a model.
    """
    if not path.is_dir():
        return [path]
    refuse_folder(path)
    files = [_only(files) for _, files in sorted(_by_name(path).items())]
    if not files:
        raise ModelFileError(
            f"the folder {path} has no file that ends in {', '.join(SUFFIXES)}; put a model there, or name a file"
        )
    if default is None:
        return files
    if default not in {file.stem for file in files}:
        raise ModelFileError(
            f"the folder {path} has no {default}.h5, which --default-model names; there are "
            f"{', '.join(file.stem for file in files)}"
        )
    return sorted(files, key=lambda file: file.stem != default)


def models_in(folder: Path) -> dict[str, Path]:
    """The model files in `folder` by name; without those of which two have one."""
    return {name: files[0] for name, files in _by_name(folder).items() if len(files) == 1}


def check_name(folder: Path, name: str) -> None:
    """Raise ModelFileError where two model files in `folder` have that name."""
    _only(_by_name(folder).get(name, [folder]))


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """A name that begins with a dot is that of a file which is still being written."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*")):
        if file.suffix in SUFFIXES and not file.name.startswith("."):
            found.setdefault(file.stem, []).append(file)
    return found


def _only(files: list[Path]) -> Path:
    if len(files) > 1:
        raise ModelFileError(
            f"{' and '.join(map(str, files))} would be models of one name; keep one of them, or rename the others"
        )
    return files[0]
