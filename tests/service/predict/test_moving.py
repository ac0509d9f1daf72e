"""Where pictures are moved, and that nothing is lost where that is stopped at any step."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.predict.journal import Journal
from service.predict.moving import folder_name, folders_of, move_all
from service.predict.reading import version_of


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("T-shirt/top", "T-shirt_top"),
        ("..", "_"),
        (".hidden", "_.hidden"),
        ("../../etc", "_.._.._etc"),
        ("a\nb", "a_b"),
    ],
)
def test_the_folder_of_a_class_stays_in_the_folder(label: str, name: str) -> None:
    assert folder_name(label) == name


def test_two_classes_never_share_a_folder() -> None:
    assert folders_of({"a/b", "a:b", "A_b"}) == {"A_b": "A_b", "a/b": "a_b-2", "a:b": "a_b-3"}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "boot.png"
    path.write_bytes(b"picture")
    return path


@pytest.fixture
def journal(tmp_path: Path, picture: Path) -> Iterator[Journal]:
    with journal_of(tmp_path, picture) as journal:
        yield journal


def journal_of(folder: Path, *pictures: Path) -> Journal:
    journal = Journal(folder / "a.csv.partial", {}, restart=False)
    paths = map(str, pictures)
    journal.add([(path, version_of(path), {"path": path, "label": "boot"}) for path in paths])
    return journal


def only_within_one_file_system(monkeypatch: pytest.MonkeyPatch, picture: Path) -> None:
    replace = Path.replace

    def only_within(path: Path, target: Path) -> Path:
        if path == picture:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", only_within)


def moved(journal: Journal, folder: Path) -> list[tuple[str, bytes]]:
    move_all(journal, folder, journal.paths, lambda: None, print)
    return sorted((path.name, path.read_bytes()) for path in (folder / "boot").iterdir())


def test_stopped_before_the_move(journal: Journal, picture: Path, tmp_path: Path) -> None:
    journal.begin_move(str(picture), str(tmp_path / "to" / "boot" / "boot.png"))
    assert moved(journal, tmp_path / "to") == [("boot.png", b"picture")]


def test_stopped_where_its_name_is_taken(journal: Journal, picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "to" / "boot" / "boot.png"
    target.parent.mkdir(parents=True)
    target.touch()
    journal.begin_move(str(picture), str(target))
    assert moved(journal, tmp_path / "to") == [("boot.png", b"picture")]
    assert not picture.exists()


def test_stopped_between_copy_and_removal(journal: Journal, picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "to" / "boot" / "boot.png"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"picture")
    journal.begin_move(str(picture), str(target))
    assert moved(journal, tmp_path / "to") == [("boot.png", b"picture")]
    assert not picture.exists()


def test_to_another_file_system(
    journal: Journal, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_within_one_file_system(monkeypatch, picture)
    assert moved(journal, tmp_path / "to") == [("boot.png", b"picture")]
    assert not picture.exists()


def test_a_picture_that_was_changed_stays(journal: Journal, picture: Path, tmp_path: Path) -> None:
    picture.write_bytes(b"another picture")
    move_all(journal, tmp_path / "to", journal.paths, lambda: None, print)
    assert picture.read_bytes() == b"another picture"


@pytest.mark.parametrize("name", ["x" * 251 + ".jpg", "ö" * 125 + "x.jpg", "x." + "y" * 253])
def test_a_name_that_is_as_long_as_can_be_gets_a_number_too(tmp_path: Path, name: str) -> None:
    pictures = [tmp_path / folder / name for folder in ("a", "b")]
    for picture in pictures:
        picture.parent.mkdir()
        picture.write_bytes(picture.parent.name.encode())
    with journal_of(tmp_path, *pictures) as journal:
        assert sorted(content for _, content in moved(journal, tmp_path / "to")) == [b"a", b"b"]
        assert (tmp_path / "to" / "boot" / name).read_bytes() == b"a"


def test_a_long_name_to_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / ("ö" * 125 + "x.jpg")
    picture.write_bytes(b"picture")
    only_within_one_file_system(monkeypatch, picture)
    with journal_of(tmp_path, picture) as journal:
        assert moved(journal, tmp_path / "to") == [(picture.name, b"picture")]


def test_what_is_in_the_folder_of_its_class_stays(tmp_path: Path) -> None:
    picture = tmp_path / "to" / "boot" / "boot.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"picture")
    with journal_of(tmp_path, picture) as journal:
        assert moved(journal, tmp_path / "to") == [("boot.png", b"picture")]
        assert journal.moves == []
