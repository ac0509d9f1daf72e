"""Which files are meant by what is given on the command line."""

import io
from pathlib import Path

import pytest

from service.predict.inputs import listed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def lay_out(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_what_is_above_a_linked_folder_is_where_the_system_finds_it(here: Path) -> None:
    lay_out(here.parent, "elsewhere/x.jpg", "elsewhere/more/y.jpg", "elsewhere/linked/z.jpg")
    (here / "link").symlink_to(here.parent / "elsewhere" / "linked")
    assert listed(["link/../x.jpg"], ()).paths == ["link/../x.jpg"]
    assert listed(["./link//../more/"], ()).paths == ["link/../more/y.jpg"]
    assert listed(["-"], (), io.BytesIO(b"link/../x.jpg\n")).paths == ["link/../x.jpg"]


def test_a_file_in_the_working_folder_has_one_row(here: Path) -> None:
    lay_out(here, "b.jpg", "a/b.jpg")
    found = listed([".", "b.jpg", "./a/b.jpg"], ())
    assert found.paths == ["b.jpg", "a/b.jpg"]
    assert found.twice == 2


def test_what_is_below_the_folders_for_results_is_no_input(here: Path) -> None:
    lay_out(here, "in/a.jpg", "in/drawn/a.jpg.png", "in/sorted/cat/b.jpg")
    assert listed(["in"], (Path("in/drawn"), here / "in" / "sorted")).paths == ["in/a.jpg"]
