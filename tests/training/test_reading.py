"""Files are read as the service would read them, several at a time, with a bar where somebody watches."""

import io
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from models.card import ImageInput
from models.decoding import open_image
from models.preprocessing import prepared_pixels
from tests.processes import command
from tests.samples import encoded
from training import reading
from training.reading import put_in_order, read_images

FORMS = ("PNG", "JPEG", "WEBP", "HEIF")
WANTED = ImageInput(height=8, width=8, channels=3, scale=1 / 255)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    every = [tmp_path / f"{number}.{FORMS[number % 4].lower()}" for number in range(20)]
    for number, path in enumerate(every):
        path.write_bytes(encoded(random.integers(0, 256, (20, 24, 3), np.uint8), FORMS[number % 4]))
    return every


def test_each_file_is_in_its_row(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 7)
    images = read_images(paths, WANTED, Console(quiet=True))
    assert images.faults == {}
    for row, path in enumerate(paths):
        assert np.array_equal(images.pixels[row], prepared_pixels(open_image(path.read_bytes(), 10_000), WANTED))
    assert len(np.unique(images.digests, axis=0)) == 20


def test_what_cannot_be_read_is_a_fault_of_its_row(paths: list[Path], tmp_path: Path) -> None:
    paths[3].write_text("no image")
    paths[5].write_bytes(paths[6].read_bytes()[:70])
    paths[7].unlink()
    os.mkfifo(tmp_path / "pipe")
    images = read_images([*paths, tmp_path / "pipe", tmp_path], WANTED, Console(quiet=True))
    assert sorted(images.faults) == [3, 5, 7, 20, 21]
    assert "the content is not an image in a format that is read here" in images.faults[3]
    assert images.faults[7] == "No such file or directory"
    assert images.faults[20]
    assert not images.pixels[3].any()


def test_a_bar_is_shown_on_a_terminal_and_nothing_elsewhere(paths: list[Path]) -> None:
    terminal, pipe = io.StringIO(), io.StringIO()
    read_images(paths, WANTED, Console(file=terminal, force_terminal=True, width=100))
    read_images(paths, WANTED, Console(file=pipe))
    assert "Reading images" in terminal.getvalue()
    assert "20/20" in terminal.getvalue()
    assert pipe.getvalue() == ""


def test_rows_are_put_in_order_in_place() -> None:
    random = np.random.default_rng(0)
    for count in (1, 2, 7, 100):
        rows, order = random.integers(0, 256, (count, 2, 2, 3), np.uint8), random.permutation(count)
        expected = rows[order]
        put_in_order(rows, order)
        assert np.array_equal(rows, expected)


def test_no_room_for_the_pixels_is_one_line(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            content = encoded(Image.new("RGB", (20, 20), (number, 0, 0)))
            (tmp_path / name / f"{number}.png").write_bytes(content)
    training = command(
        "training", "--data", tmp_path, "--image-size", 1000, "--channels", 3, "--output", tmp_path / "out" / "a.h5"
    )
    finished = subprocess.run(
        # No file may grow past 400 KiB: what a full disk does, without filling one.
        ["bash", "-c", 'ulimit -f 400; exec "$@"', "-", *training],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    line = finished.stderr.splitlines()[-1]
    assert line.startswith("cnn-train: 24,000,000 bytes of pixels have no room in ")
    assert "TMPDIR" in line
