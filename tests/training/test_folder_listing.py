"""Folders as people lay out their pictures: which classes and parts are found, and what is told of the rest."""

import os
from pathlib import Path

import pytest

from training.errors import DataError
from training.folder_listing import list_folder
from training.listing import Listing


def lay_out(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(listing: Listing, folder: Path) -> dict[str, tuple[str, str]]:
    """The class and the part of each file."""
    return {
        picture.path.relative_to(folder).as_posix(): (listing.class_names[picture.label], picture.part)
        for picture in listing.pictures
    }


def test_subfolders_are_classes_in_alphabetical_order(tmp_path: Path) -> None:
    listing = list_folder(lay_out(tmp_path, "dog/1.jpg", "cat/2.jpg", "Cow/3.jpg"))
    assert listing.class_names == ("Cow", "cat", "dog")
    assert found(listing, tmp_path) == {
        "Cow/3.jpg": ("Cow", "training"), "cat/2.jpg": ("cat", "training"), "dog/1.jpg": ("dog", "training")
    }  # fmt: skip
    assert listing.missing_parts == ("validation", "test")
    assert (listing.left_out, listing.remarks) == ((), ())


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "VALID", "Testing"), ("train", "validation", "TEST")],
)
def test_train_val_and_test_are_parts_and_never_classes(tmp_path: Path, train: str, val: str, test: str) -> None:
    lay_out(tmp_path, *(f"{part}/{name}/1.jpg" for part in (train, val, test) for name in ("cat", "dog")))
    listing = list_folder(tmp_path)
    assert listing.class_names == ("cat", "dog")
    assert listing.missing_parts == ()
    assert found(listing, tmp_path) == {
        f"{folder}/{name}/1.jpg": (name, part)
        for folder, part in ((train, "training"), (val, "validation"), (test, "test"))
        for name in ("cat", "dog")
    }


def test_a_part_may_be_missing_but_not_train(tmp_path: Path) -> None:
    lay_out(tmp_path / "a", "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg", "test/dog/1.jpg")
    assert list_folder(tmp_path / "a").missing_parts == ("validation",)
    lay_out(tmp_path / "b", "train/cat/1.jpg", "train/dog/1.jpg")
    assert list_folder(tmp_path / "b").missing_parts == ("validation", "test")
    lay_out(tmp_path / "c", "val/cat/1.jpg", "val/dog/1.jpg", "test/cat/1.jpg")
    with pytest.raises(DataError, match="has test, val and no train"):
        list_folder(tmp_path / "c")


def test_classes_are_those_of_all_parts_together(tmp_path: Path) -> None:
    lay_out(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "val/cow/1.jpg")
    assert list_folder(tmp_path).class_names == ("cat", "cow", "dog")


def test_a_test_folder_of_pictures_without_classes_is_told_and_not_used(tmp_path: Path) -> None:
    listing = list_folder(lay_out(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg", "test/2.jpg"))
    assert listing.missing_parts == ("validation", "test")
    (remark,) = listing.remarks
    assert "test has no class folders, so that nothing says what its images show: it is not used" in remark


@pytest.mark.parametrize("test", ["test/1.jpg", "test/cat/1.jpg"])
def test_parts_beside_classes_are_an_error_that_says_what_was_seen(tmp_path: Path, test: str) -> None:
    with pytest.raises(DataError, match=r"called as parts of a data set \(test\) and others \(cat, dog\)"):
        list_folder(lay_out(tmp_path, "cat/1.jpg", "dog/1.jpg", test))


def test_inside_a_part_a_class_may_be_called_train(tmp_path: Path) -> None:
    lay_out(tmp_path, "train/bus/1.jpg", "train/train/1.jpg")
    assert list_folder(tmp_path).class_names == ("bus", "train")


def test_two_folders_for_one_part_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two folders for the validation part, val and valid; join them"):
        list_folder(lay_out(tmp_path, "train/cat/1.jpg", "val/cat/1.jpg", "valid/cat/1.jpg"))


def test_parts_inside_class_folders_are_an_error(tmp_path: Path) -> None:
    files = (f"{name}/{part}/1.jpg" for name in ("cat", "dog") for part in ("train", "test"))
    with pytest.raises(DataError, match=r"cat has subfolders .* \(test, train\); put the parts first"):
        list_folder(lay_out(tmp_path, *files))


def test_the_folder_that_an_archive_wrapped_around_is_stepped_into_and_told(tmp_path: Path) -> None:
    lay_out(tmp_path, "pets/data/train/cat/1.jpg", "pets/data/train/dog/1.jpg", "__MACOSX/pets/._data", "LICENSE")
    listing = list_folder(tmp_path)
    assert listing.class_names == ("cat", "dog")
    assert listing.remarks == (
        f"1 file in {tmp_path} beside its subfolders, not used: LICENSE",
        f"{tmp_path} holds one folder alone, pets: the classes are looked for in that",
        f"{tmp_path / 'pets'} holds one folder alone, data: the classes are looked for in that",
    )


def test_one_class_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 1 subfolder with a class, expected one for each class and at least two"):
        list_folder(lay_out(tmp_path, "cat/1.jpg", "cat/2.jpg"))


def test_where_a_table_lies_beside_the_pictures_it_is_advised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"where the classes are in labels\.csv, name that with --data"):
        list_folder(lay_out(tmp_path, "labels.csv", "images/1.jpg"))


def test_what_is_hidden_or_the_systems_own_is_passed_over(tmp_path: Path) -> None:
    lay_out(
        tmp_path, "cat/1.jpg", "dog/1.jpg", ".ipynb_checkpoints/1.jpg", "__MACOSX/cat/._1.jpg", "@eaDir/1.jpg",
        "$RECYCLE.BIN/1.jpg", "#recycle/1.jpg", "lost+found/1.jpg", "__pycache__/1.pyc", ".DS_Store", "Thumbs.db",
        "cat/._1.jpg", "cat/Thumbs.db", "cat/desktop.ini", "cat/@eaDir/1.jpg/SYNO_THUMB.jpg",
        "cat/.ipynb_checkpoints/1-checkpoint.jpg",
    )  # fmt: skip
    listing = list_folder(tmp_path)
    assert set(found(listing, tmp_path)) == {"cat/1.jpg", "dog/1.jpg"}
    assert listing.remarks == ()


def test_files_beside_the_classes_are_told(tmp_path: Path) -> None:
    lay_out(tmp_path, *(f"{number}.jpg" for number in range(10)), "cat/1.jpg", "dog/1.jpg")
    (remark,) = list_folder(tmp_path).remarks
    assert remark.startswith(f"10 files in {tmp_path} beside its subfolders, not used: 0.jpg, 1.jpg, 2.jpg")
    assert remark.endswith("7.jpg and 2 more")


def test_subfolders_of_a_class_count_as_the_class_and_are_told(tmp_path: Path) -> None:
    listing = list_folder(lay_out(tmp_path, "cat/old/tabby/1.jpg", "cat/new/1.jpg", "dog/1.jpg"))
    assert found(listing, tmp_path)["cat/old/tabby/1.jpg"] == ("cat", "training")
    assert listing.remarks == (
        f"1 class folder with subfolders, whose images count as of the class: {tmp_path / 'cat'} (new, old)",
    )


def test_links_to_files_and_of_classes_are_followed_and_others_told(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "data", "cat/1.jpg", "dog/1.jpg")
    lay_out(tmp_path / "elsewhere", "1.jpg")
    (folder / "cow").symlink_to(tmp_path / "elsewhere")
    (folder / "dog" / "2.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    (folder / "dog" / "again").symlink_to(folder)
    listing = list_folder(folder)
    assert set(found(listing, folder)) == {"cat/1.jpg", "cow/1.jpg", "dog/1.jpg", "dog/2.jpg"}
    (left_out,) = listing.left_out
    assert left_out.path == folder / "dog" / "again"
    assert "a link to a folder, which is not followed" in left_out.reason


def test_a_class_whose_name_is_no_text_is_an_error(tmp_path: Path) -> None:
    lay_out(tmp_path, "cat/1.jpg", os.fsdecode(b"hat\xe9/1.jpg"))
    with pytest.raises(DataError, match=r"hat\\xe9, which is no UTF-8; expected .* rename it"):
        list_folder(tmp_path)


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fasion-mnist cannot be read as a folder .* --data takes fashion-mnist"):
        list_folder(Path("fasion-mnist"))
    with pytest.raises(DataError, match="has 0 subfolders with a class"):
        list_folder(tmp_path)
