"""Which files of a folder are models, by what names they are called, and what is passed over. Knows no Keras."""

from pathlib import Path

from models.card import ModelFileError
from service.inference.version_folders import (
    SUFFIXES,
    is_version_folder,
    model_files_in,
    name_of,
    newest_file,
    refused_versions,
    version_files,
)
from service.model_files.validation.formats import check_quickly, refuse_folder

# What a model is called that is none for Keras, or none that is looked for.
_OTHER_SUFFIXES = {".tflite", ".onnx", ".pt", ".pth", ".pb", ".pkl", ".joblib", ".safetensors", ".hdf", ".ckpt"}


def model_files(path: Path, default: str | None) -> list[Path]:
    """The files of the models that `path` names, of each its newest version; raises as `model_places` does."""
    return [newest_file(place) for place in model_places(path, default)]


def model_places(path: Path, default: str | None) -> list[Path]:
    """The models that `path` names, each a file or a version folder: itself, or all in it.

    The one called `default` is before all, or else the first by name.

    Of files of one name none is among them: see `passed_over`. Raises ModelFileError where a folder has none, or not
    that default, or is itself a model.
    """
    if not path.is_dir() or is_version_folder(path):
        return [path]
    refuse_folder(path)
    if default is not None:
        check_name(path, default)
    files = [file for _, file in sorted(models_in(path).items())]
    if not files:
        none = (
            f"the folder {path} has no file that ends in {', '.join(SUFFIXES)}, nor a folder of numbered versions; put "
            "a model there, or name a file"
        )
        raise ModelFileError(next(iter(passed_over(path)), none))
    if default is None:
        return files
    if default not in map(name_of, files):
        raise ModelFileError(
            f"the folder {path} has no {default}.h5, which --default-model names; there are "
            f"{', '.join(map(name_of, files))}"
        )
    return sorted(files, key=lambda file: name_of(file) != default)


def models_in(folder: Path) -> dict[str, Path]:
    """The model files and version folders in `folder` by name; without those of which two have one."""
    return {name: files[0] for name, files in _by_name(folder).items() if len(files) == 1}


def check_name(folder: Path, name: str) -> None:
    """Raise ModelFileError where two model files in `folder` have that name."""
    files = _by_name(folder).get(name, [])
    if len(files) > 1:
        raise ModelFileError(_of_one_name(files))


def passed_over(folder: Path) -> list[str]:
    """What in `folder` looks like a model and is not served: for each, why and what to do."""
    if is_version_folder(folder):
        return refused_versions(folder)
    reasons = [_of_one_name(files) for files in _by_name(folder).values() if len(files) > 1]
    for entry in sorted(folder.glob("*")):
        try:
            if entry.is_dir():
                refuse_folder(entry)
                if is_version_folder(entry):
                    reasons += refused_versions(entry)
                elif not entry.name.startswith(".") and model_files_in(entry):
                    reasons.append(f"{entry} is a folder, and models are not looked for in it; put them into {folder}")
            elif entry.suffix in _OTHER_SUFFIXES and entry.is_file():
                check_quickly(entry)
                reasons.append(f"{entry} does not end in {', '.join(SUFFIXES)}; rename it to have it served")
        except ModelFileError as error:
            reasons.append(str(error))
    return reasons


def _by_name(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in model_files_in(folder):
        found.setdefault(file.stem, []).append(file)
    for entry in sorted(folder.glob("[!.]*")):
        if entry.is_dir() and version_files(entry):
            found.setdefault(entry.name, []).append(entry)
    return found


def _of_one_name(files: list[Path]) -> str:
    return f"{' and '.join(map(str, files))} would be models of one name; keep one of them, or rename the others"
