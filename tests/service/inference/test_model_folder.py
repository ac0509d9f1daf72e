"""Which files of a folder are models, by what names, and what is said where that is not clear."""

import shutil
from pathlib import Path

import pytest

from models.card import ModelFileError
from service.inference.model_folder import check_name, model_files, models_in, passed_over
from tests.samples import SHIPPED_MODEL


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
    with pytest.raises(
        ModelFileError,
        match=r"has no file that ends in \.h5, \.hdf5, \.keras, \.zip, nor a folder of numbered versions; put",
    ):
        model_files(tmp_path, None)


def test_every_kind_of_file_that_is_loaded_is_a_model_by_its_stem(tmp_path: Path) -> None:
    touch(tmp_path, "a.h5", "b.hdf5", "c.keras", "d.zip", "e.labels.txt", "f.json", ".g.123.keras")
    assert [file.name for file in model_files(tmp_path, None)] == ["a.h5", "b.hdf5", "c.keras", "d.zip"]
    assert model_files(tmp_path, "c")[0] == tmp_path / "c.keras"
    assert models_in(tmp_path) == {name[0]: tmp_path / name for name in ("a.h5", "b.hdf5", "c.keras", "d.zip")}


def test_two_files_of_one_name_are_named_and_neither_is_chosen_while_the_others_are_served(tmp_path: Path) -> None:
    touch(tmp_path, "hats.h5", "hats.keras", "bags.h5")
    assert model_files(tmp_path, None) == [tmp_path / "bags.h5"]
    assert models_in(tmp_path) == {"bags": tmp_path / "bags.h5"}
    (reason,) = passed_over(tmp_path)
    assert "hats.h5 and " in reason
    assert "hats.keras would be models of one name; keep one of them, or rename the others" in reason
    for asks in (lambda: model_files(tmp_path, "hats"), lambda: check_name(tmp_path, "hats")):
        with pytest.raises(ModelFileError, match=r"hats\.h5 and .*hats\.keras would be models of one name"):
            asks()
    check_name(tmp_path, "bags")
    check_name(tmp_path, "gloves")


def test_where_nothing_is_left_the_reason_is_that_of_what_is_there(tmp_path: Path) -> None:
    touch(tmp_path, "hats.h5", "hats.keras")
    with pytest.raises(ModelFileError, match="would be models of one name"):
        model_files(tmp_path, None)


def test_what_looks_like_a_model_and_is_not_served_is_told_with_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "good.h5", "saved/saved_model.pb", "nested/inner.keras", "photos/cat.png", "good.labels.txt")
    (tmp_path / "phone.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    shutil.copy(SHIPPED_MODEL, tmp_path / "other.hdf")
    assert model_files(tmp_path, None) == [tmp_path / "good.h5"]
    nested, other, phone, saved = passed_over(tmp_path)
    assert nested == f"{tmp_path / 'nested'} is a folder, and models are not looked for in it; put them into {tmp_path}"
    assert other == f"{tmp_path / 'other.hdf'} does not end in .h5, .hdf5, .keras, .zip; rename it to have it served"
    assert phone.startswith(f"{tmp_path / 'phone.tflite'} is refused: it is a TensorFlow Lite model")
    assert saved.startswith(f"{tmp_path / 'saved'} is refused: it is TensorFlow's SavedModel")


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
