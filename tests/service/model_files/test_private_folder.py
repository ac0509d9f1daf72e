"""Folders of processes that were killed are removed by the next one; those in use, and somebody else's, stay."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from service.errors import StorageFailed
from service.model_files.private_folder import private_folder, remove_left_behind
from tests.samples import ROOT

KILLED = """
import os, signal
from service.model_files.private_folder import private_folder
with private_folder() as folder:
    (folder / "weights").write_bytes(bytes(100))
    print(folder)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def an_hour_ago(folder: Path) -> None:
    os.utime(folder, (folder.stat().st_atime, folder.stat().st_mtime - 3600))


def test_it_is_nobody_elses_and_gone_afterwards(temporary: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o77 == 0
    assert not folder.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(temporary: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    assert (left / "weights").exists()
    remove_left_behind("model-")
    assert left.exists()  # it might just have been made
    an_hour_ago(left)
    with private_folder() as folder:
        assert list(temporary.iterdir()) == [folder]


def test_one_in_use_stays_however_old_it_is() -> None:
    with private_folder() as used:
        an_hour_ago(used)
        with private_folder():
            assert used.exists()


def test_what_is_none_of_ours_stays(temporary: Path) -> None:
    others = [temporary / "model-files", temporary / "model-of-somebody", temporary / "elsewhere"]
    for folder in others:
        folder.mkdir()
    os.mkfifo(others[1] / "in-use.lock")
    (temporary / "model-link").symlink_to(others[2])
    for folder in (*others, temporary / "model-link"):
        an_hour_ago(folder)
    with private_folder():
        assert all(folder.exists() for folder in (*others, temporary / "model-link"))


def test_where_none_can_be_made_that_is_told(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "nowhere"))
    with pytest.raises(StorageFailed, match="temporary files"), private_folder():
        pass
