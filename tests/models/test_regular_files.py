"""Only regular files are read, without waiting for anybody, and never more of one than its reader asks for."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from models.file_version import file_version
from models.regular_files import FileTooLargeError, NotARegularFileError, open_regular, pieces, read_regular


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "it is a folder, not a file"),
    "a FIFO": (os.mkfifo, "it is a FIFO, not a file"),
    "a socket": (make_socket, "it is a socket, not a file"),
    "a link to a device without an end": (link_to("/dev/zero"), "it is a device, not a file"),
    "a link to a device that waits": (link_to("/dev/tty"), "device|No such"),
    "a link to itself": (link_to("it"), "Too many levels of symbolic links"),
    "a link to nowhere": (link_to("nowhere"), "No such file"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_regular_file_is_told_at_once(kind: str, tmp_path: Path) -> None:
    make, reason = OTHERS[kind]
    make(tmp_path / "it")
    for read in (open_regular, file_version, lambda path: read_regular(path, 10)):
        with pytest.raises(OSError, match=reason):
            read(tmp_path / "it")


def test_a_fifo_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, regular = tmp_path / "it", (tmp_path / "regular")
    os.mkfifo(path)
    regular.write_bytes(b"")
    status = regular.stat()
    monkeypatch.setattr(Path, "stat", lambda _: status)  # as it was a moment ago
    with pytest.raises(NotARegularFileError, match="a FIFO"):
        open_regular(path)


def test_a_file_behind_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "it").symlink_to("file")
    assert read_regular(tmp_path / "it", 7) == b"content"


def test_what_is_too_large_is_not_even_begun(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 42)  # that it says, and takes no room
    with pytest.raises(FileTooLargeError, match="it has 4,398,046,511,104 bytes, and at most 1,000 are read"):
        read_regular(path, 1_000)
    with pytest.raises(FileTooLargeError):
        file_version(path, 1 << 30)


def test_a_file_that_grows_while_it_is_read_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "grows"
    path.write_bytes(bytes(20 << 20))
    sizes = []
    for piece in pieces(path):
        sizes.append(len(piece))
        with path.open("ab") as file:
            file.write(bytes(20 << 20))
    assert sum(sizes) == 20 << 20
