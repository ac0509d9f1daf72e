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
    journal = Journal(tmp_path / "a.csv.partial", {}, restart=False)
    journal.add([(str(picture), version_of(str(picture)), {"path": str(picture), "label": "boot"})])
    yield journal
    journal.close()


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
    replace = Path.replace

    def only_within(path: Path, target: Path) -> Path:
        if path == picture:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", only_within)
    assert moved(journal, tmp_path / "to") == [("boot.png", b"picture")]
    assert not picture.exists()


def test_a_picture_that_was_changed_stays(journal: Journal, picture: Path, tmp_path: Path) -> None:
    picture.write_bytes(b"another picture")
    move_all(journal, tmp_path / "to", journal.paths, lambda: None, print)
    assert picture.read_bytes() == b"another picture"
