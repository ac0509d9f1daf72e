"""Which files of a folder are models, by what names, and what is said where that is not clear."""

from pathlib import Path

import pytest

from models.card import ModelFileError
from service.inference.model_folder import check_name, model_files, models_in


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_each_file_is_a_model_and_one_of_them_the_default(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        (tmp_path / f"{name}.h5").touch()
    (tmp_path / "notes.txt").touch()
    assert [file.stem for file in model_files(tmp_path, None)] == ["a", "b", "c"]
    assert [file.stem for file in model_files(tmp_path, "c")] == ["c", "a", "b"]
    assert model_files(tmp_path / "a.h5", None) == [tmp_path / "a.h5"]
    with pytest.raises(ModelFileError, match=r"no d.h5, which --default-model names; there are a, b, c"):
        model_files(tmp_path, "d")


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"has no file that ends in \.h5, \.hdf5, \.keras, \.zip; put"):
        model_files(tmp_path, None)


def test_every_kind_of_file_that_is_loaded_is_a_model_by_its_stem(tmp_path: Path) -> None:
    touch(tmp_path, "a.h5", "b.hdf5", "c.keras", "d.zip", "e.labels.txt", "f.json", ".g.123.keras")
    assert [file.name for file in model_files(tmp_path, None)] == ["a.h5", "b.hdf5", "c.keras", "d.zip"]
    assert model_files(tmp_path, "c")[0] == tmp_path / "c.keras"
    assert models_in(tmp_path) == {name[0]: tmp_path / name for name in ("a.h5", "b.hdf5", "c.keras", "d.zip")}


def test_two_files_of_one_name_are_named_and_neither_is_chosen(tmp_path: Path) -> None:
    touch(tmp_path, "hats.h5", "hats.keras", "bags.h5")
    with pytest.raises(ModelFileError, match=r"hats\.h5 and .*hats\.keras would be models of one name; keep one"):
        model_files(tmp_path, None)
    with pytest.raises(ModelFileError, match=r"hats\.h5 and .*hats\.keras"):
        check_name(tmp_path, "hats")
    check_name(tmp_path, "bags")
    check_name(tmp_path, "gloves")
    assert models_in(tmp_path) == {"bags": tmp_path / "bags.h5"}


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("saved_model.pb", "variables/variables.index"), "it is TensorFlow's SavedModel"),
        (("config.json", "metadata.json", "model.weights.h5"), "it is an unpacked .keras file; put config.json"),
        (("checkpoint", "ckpt.index"), "it is part of a TensorFlow checkpoint"),
        (("model.json", "weights.bin"), "it is a model for TensorFlow.js"),
    ],
)
def test_a_folder_that_is_itself_a_model_is_told_so(tmp_path: Path, names: tuple[str, ...], reason: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(ModelFileError, match=reason) as refused:
        model_files(tmp_path, None)
    assert str(refused.value).startswith(f"{tmp_path} is refused: ")
