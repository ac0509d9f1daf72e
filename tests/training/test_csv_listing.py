"""CSV files that name pictures and their classes, as people and programs write them."""

from pathlib import Path

import pytest

from training.csv_listing import list_csv
from training.errors import DataError
from training.listing import ListedPicture


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label\na/1.jpg,cat\n2.jpg,dog\n", "utf-8"),
        ("File_Name;Category\r\na/1.jpg;cat\r\n2.jpg;dog\r\n", "utf-8-sig"),
        ("index\timage path\tTARGET\n\n0\ta/1.jpg\tcat\n1\t2.jpg\tdog", "utf-8"),
        ('label, "image"\ncat, "a/1.jpg"\n dog , 2.jpg\n', "utf-8"),
    ],
)
def test_names_classes_and_delimiters_of_many_kinds_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    listing = list_csv(table(tmp_path, text, encoding))
    assert listing.class_names == ("cat", "dog")
    assert listing.pictures == (
        ListedPicture(tmp_path / "a" / "1.jpg", 0, "training"),
        ListedPicture(tmp_path / "2.jpg", 1, "training"),
    )
    assert listing.missing_parts == ("validation", "test")


def test_a_path_may_be_absolute_or_lead_upwards(tmp_path: Path) -> None:
    listing = list_csv(table(tmp_path, "path,label\n/data/1.jpg,cat\n../2.jpg,dog\n"))
    assert [picture.path for picture in listing.pictures] == [Path("/data/1.jpg"), tmp_path / ".." / "2.jpg"]


def test_a_column_may_give_the_part(tmp_path: Path) -> None:
    listing = list_csv(table(tmp_path, "path,label,split\n1,cat,train\n2,dog,Training\n3,cat,valid\n4,dog,TEST\n"))
    assert [picture.part for picture in listing.pictures] == ["training", "training", "validation", "test"]
    assert listing.missing_parts == ()


def test_whole_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{number}.jpg,{number}\n" for number in (10, 9, 0, 1))
    assert list_csv(table(tmp_path, f"path,label\n{rows}")).class_names == ("0", "1", "9", "10")
    assert list_csv(table(tmp_path, f"path,label\n{rows}x,b\n")).class_names == ("0", "1", "10", "9", "b")


def test_a_name_of_many_digits_is_ordered_as_a_text(tmp_path: Path) -> None:
    long = "9" * 5000
    listing = list_csv(table(tmp_path, f"path,label\n1.jpg,{long}\n2.jpg,10\n3.jpg,9\n"))
    assert listing.class_names == ("10", "9", long)


def test_what_is_above_a_linked_folder_is_where_the_system_finds_it(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "linked").mkdir(parents=True)
    for folder, name in ((tmp_path, "1.jpg"), (tmp_path / "elsewhere", "1.jpg")):
        (folder / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "linked")
    listing = list_csv(table(tmp_path, "path,label\n1.jpg,cat\nlink/../1.jpg,dog\nelsewhere/1.jpg,dog\n"))
    assert [picture.path.resolve() for picture in listing.pictures] == [
        tmp_path / "1.jpg", tmp_path / "elsewhere" / "1.jpg"
    ]  # fmt: skip
    assert len(listing.remarks) == 1


def test_a_line_without_a_class_is_left_out_and_named(tmp_path: Path) -> None:
    listing = list_csv(table(tmp_path, "path,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,\n"))
    assert len(listing.pictures) == 2
    assert listing.left_out == ((tmp_path / "3.jpg", "line 4 of labels.csv gives it no class"),)


def test_a_file_that_is_named_again_counts_once_and_is_told(tmp_path: Path) -> None:
    listing = list_csv(table(tmp_path, "path,label\n1.jpg,cat\n2.jpg,dog\nx/../1.jpg,cat\n"))
    assert len(listing.pictures) == 2
    assert listing.remarks == (f"{tmp_path / 'labels.csv'} names files again, in 1 line; each file counts once",)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("path,label\n1.jpg,cat\n1.jpg,dog\n", r"names 1\.jpg twice: in line 2 as cat, .* in line 3 as dog"),
        (
            "path,label,split\n1.jpg,cat,train\n1.jpg,cat,test\n",
            "in line 2 as cat, for training, and in line 3 as cat, for test; keep one",
        ),
        ("path,label\n1.jpg,cat\n2.jpg,cat\n", r"names 1 classes \(cat\), expected at least two"),
        ("id,breed\n1,cat\n", "begins with the columns id, breed; expected a first line that names the columns: path"),
        ("1.jpg,cat\n2.jpg,dog\n", r"begins with the columns 1\.jpg, cat; expected a first line"),
        ("path,file,label\n1,1,cat\n", "begins with the columns path, file, label; .* each of them once"),
        ("", r"begins with the columns \(none\)"),
        ("path,label\n1.jpg,cat\n2,jpg,dog\n", "line 3 of .* has 3 fields and its first line 2; put a field"),
        ("path,label\n,cat\n", "line 2 of .* names no file; add its path"),
        ("path,label,split\n1.jpg,cat,\n", "line 2 of .* gives the part as nothing, expected train, val or test"),
        ("path,label,split\n1.jpg,cat,dev\n", "gives the part as dev, expected"),
        ('path,label\n"1.jpg,cat\n', "line 2 of .* is no CSV"),
        ("path,label\n1.jpg,c\0t\n", "is no text; --data takes a folder, or a CSV"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_where(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(DataError, match=part):
        list_csv(table(tmp_path, text))


def test_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no text in UTF-8; .*unpack an archive"):
        list_csv(table(tmp_path, "path,label\n1.jpg,cäfé\n", "latin-1"))
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(
        DataError, match=r"huge\.csv cannot be read: it has 1,073,741,824 bytes, and at most 200,000,000"
    ):
        list_csv(tmp_path / "huge.csv")
