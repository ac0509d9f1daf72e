"""Which folders hold numbered versions, which version is there already, and what is said of the others."""

from pathlib import Path

import pytest

from models.card import ModelFileError
from service.inference.model_folder import model_files, model_places, models_in, passed_over
from service.inference.version_folders import (
    given_name,
    is_version_folder,
    name_of,
    newest_file,
    refused_versions,
    version_files,
)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_highest_number_is_the_newest_and_not_the_last_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "hats/1/a.keras", "hats/9/b.h5", "hats/10/c.keras", "hats/10/c.labels.txt", "hats/notes/d.h5")
    assert is_version_folder(tmp_path / "hats")
    assert list(version_files(tmp_path / "hats").items()) == [
        (10, tmp_path / "hats/10/c.keras"),
        (9, tmp_path / "hats/9/b.h5"),
        (1, tmp_path / "hats/1/a.keras"),
    ]
    assert newest_file(tmp_path / "hats") == tmp_path / "hats/10/c.keras"
    assert refused_versions(tmp_path / "hats") == []


def test_what_is_not_whole_yet_is_no_version_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    touch(tmp_path, "1/a.keras", "2/.a.keras", "3/a.keras.part", ".4/a.keras", "5x/a.keras", "tmp-6/a.keras")
    (tmp_path / "7").mkdir()
    (tmp_path / "8").write_text("a file")
    assert list(version_files(tmp_path)) == [1]
    assert refused_versions(tmp_path) == []


def test_a_saved_model_and_two_files_are_told_with_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "1/a.keras", "2/saved_model.pb", "3/a.keras", "3/b.h5")
    saved, two = refused_versions(tmp_path)
    assert saved.startswith(f"{tmp_path / '2'} is refused: it is TensorFlow's SavedModel, which Keras 3 does not load;")
    assert "save it there with model.save('model.keras')" in saved
    assert (
        two
        == f"{tmp_path / '3'} is refused: a version is one model file, and it has a.keras and b.h5; keep one of them"
    )
    assert passed_over(tmp_path) == [saved, two]
    assert list(version_files(tmp_path)) == [1]


@pytest.mark.parametrize(
    ("name", "reason"), [("2/saved_model.pb", "it is TensorFlow's SavedModel"), ("2/notes.txt", "no version in ")]
)
def test_where_no_version_can_be_served_the_reason_is_told(tmp_path: Path, name: str, reason: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(ModelFileError, match=reason):
        model_files(tmp_path, None)


def test_a_folder_of_models_may_hold_files_and_version_folders(tmp_path: Path) -> None:
    touch(tmp_path, "hats/1/a.keras", "hats/2/a.keras", "bags.h5", "shoes.h5", "shoes/1/a.keras", "ties/1/notes.txt")
    assert models_in(tmp_path) == {"hats": tmp_path / "hats", "bags": tmp_path / "bags.h5"}
    assert model_places(tmp_path, "hats") == [tmp_path / "hats", tmp_path / "bags.h5"]
    assert model_files(tmp_path, None) == [tmp_path / "bags.h5", tmp_path / "hats/2/a.keras"]
    (reason,) = passed_over(tmp_path)
    assert "shoes.h5 and " in reason
    assert "would be models of one name" in reason


def test_a_model_is_called_as_its_version_folder_or_as_the_operator_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "hats/1/a.keras", "bags.h5")
    file = tmp_path / "hats/1/a.keras"
    assert name_of(tmp_path / "hats") == "hats"
    assert given_name(file, tmp_path / "hats", None) == given_name(file, tmp_path, None) == "hats"
    assert given_name(file, tmp_path / "hats", "caps") == "caps"
    assert given_name(file, file, None) is None
    assert given_name(tmp_path / "bags.h5", tmp_path, None) == "bags"
    monkeypatch.chdir(tmp_path / "hats")
    assert given_name(Path("1/a.keras"), Path(), None) == name_of(Path()) == "hats"
