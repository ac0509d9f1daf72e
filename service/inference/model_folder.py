"""Which files of a folder are models, by what names they are called, and what is passed over. Knows no Keras."""

from pathlib import Path

from models.card import ModelFileError
from service.model_files.validation.formats import check_quickly, refuse_folder

SUFFIXES = (".h5", ".hdf5", ".keras", ".zip")  # a zip is one of Teachable Machine's
# What a model is called that is none for Keras, or none that is looked for.
_OTHER_SUFFIXES = {".tflite", ".onnx", ".pt", ".pth", ".pb", ".pkl", ".joblib", ".safetensors", ".hdf", ".ckpt"}


def model_files(path: Path, default: str | None) -> list[Path]:
    """The files that `path` names: itself, or each model in it, the one called `default` or else the first before all.

    Of files of one name none is among them: see `passed_over`. Raises ModelFileError where a folder has none, or not
    that default, or is itself a model.
    """
    if not path.is_dir():
        return [path]
    refuse_folder(path)
    if default is not None:
        check_name(path, default)
    files = [file for _, file in sorted(models_in(path).items())]
    if not files:
        none = f"the folder {path} has no file that ends in {', '.join(SUFFIXES)}; put a model there, or name a file"
        raise ModelFileError(next(iter(passed_over(path)), none))
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
    files = _by_name(folder).get(name, [])
    if len(files) > 1:
        raise ModelFileError(_of_one_name(files))


def passed_over(folder: Path) -> list[str]:
    """What in `folder` looks like a model and is not served: for each, why and what to do."""
    reasons = [_of_one_name(files) for files in _by_name(folder).values() if len(files) > 1]
    for entry in sorted(folder.glob("*")):
        try:
            if entry.is_dir():
                refuse_folder(entry)
                if not entry.name.startswith(".") and _by_name(entry):
                    reasons.append(f"{entry} is a folder, and models are not looked for in it; put them into {folder}")
            elif entry.suffix in _OTHER_SUFFIXES and entry.is_file():
                check_quickly(entry)
                reasons.append(f"{entry} does not end in {', '.join(SUFFIXES)}; rename it to have it served")
        except ModelFileError as error:
            reasons.append(str(error))
    return reasons


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """A name that begins with a dot is that of a file which is still being written."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*")):
        if file.suffix in SUFFIXES and not file.name.startswith("."):
            found.setdefault(file.stem, []).append(file)
    return found


def _of_one_name(files: list[Path]) -> str:
    return f"{' and '.join(map(str, files))} would be models of one name; keep one of them, or rename the others"
