"""A folder of somebody's own images, from the files to answers over HTTP."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from models.card import ImageInput, read_card
from models.decoding import open_image
from models.preprocessing import prepared_pixels
from tests.processes import run_to_end, running_service
from tests.samples import encoded
from training.data import load_mnist
from training.errors import DataError
from training.fit import load
from training.folder import load_folder
from training.settings import TrainingSettings

WANTED = ImageInput(height=16, width=16, channels=3, scale=1 / 255)
FORMS = ("PNG", "JPEG", "WEBP")
COLOURS = {"blue": (40, 60, 200), "green": (30, 180, 60), "red": (210, 40, 30)}


def image(name: str, random: np.random.Generator) -> Image.Image:
    """A patch of the class's colour somewhere on grey."""
    pixels = np.full((60, 80, 3), random.integers(90, 160), np.uint8)
    top, left = random.integers(0, 30), random.integers(0, 40)
    pixels[top : top + 30, left : left + 40] = np.array(COLOURS[name]) + random.integers(-20, 20, 3)
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in COLOURS:
        (tmp_path / "images" / name / "deeper").mkdir(parents=True)
        for number in range(30):
            form = FORMS[number % 3]
            place = tmp_path / "images" / name / ("deeper" if number % 5 == 0 else "")
            (place / f"{number}.{form.lower()}").write_bytes(encoded(image(name, random), form))
    return tmp_path / "images"


def test_every_image_is_there_once_prepared_as_the_service_does_it(folder: Path) -> None:
    split, left_out = load_folder(folder, WANTED, 0.2, seed=1)
    assert left_out == []
    assert split.class_names == ("blue", "green", "red")
    assert [len(part) for part in (split.test_labels, split.validation_labels, split.training_labels)] == [9, 18, 63]
    images = np.concatenate([split.test_pictures, split.validation_pictures, split.training_pictures])
    labels = np.concatenate([split.test_labels, split.validation_labels, split.training_labels])
    found = {(int(label), pixels.tobytes()) for label, pixels in zip(labels, images, strict=True)}
    assert found == {
        (label, prepared_pixels(open_image(file.read_bytes(), 10_000), WANTED).tobytes())
        for label, name in enumerate(split.class_names)
        for file in (folder / name).rglob("*.*")
    }


def test_the_same_seed_gives_the_same_split(folder: Path) -> None:
    first, second = (load_folder(folder, WANTED, 0.2, seed=1)[0] for _ in range(2))
    assert first.sha256 == second.sha256
    assert np.array_equal(first.test_pictures, second.test_pictures)
    assert load_folder(folder, WANTED, 0.2, seed=2)[0].sha256 != first.sha256


def test_files_that_cannot_be_read_are_left_out_and_named(folder: Path) -> None:
    (folder / "red" / "notes.txt").write_text("no image")
    (folder / "red" / ".DS_Store").write_text("what file managers leave")
    (folder / "blue" / "broken.png").write_bytes(encoded(Image.new("RGB", (50, 50)))[:60])
    split, left_out = load_folder(folder, WANTED, 0.2, seed=1)
    assert {file.path.name for file in left_out} == {"notes.txt", "broken.png"}
    assert all(file.reason for file in left_out)
    assert sum(map(len, (split.test_labels, split.validation_labels, split.training_labels))) == 90


def test_folders_that_are_no_data_set_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read as a folder"):
        load_folder(tmp_path / "nowhere", WANTED, 0.2, 1)
    with pytest.raises(DataError, match="0 subfolders, expected one for each class and at least two"):
        load_folder(folder / "red" / "deeper", WANTED, 0.2, 1)
    (folder / "yellow").mkdir()
    with pytest.raises(DataError, match="yellow holds no image that can be read"):
        load_folder(folder, WANTED, 0.2, 1)


def test_too_few_images_to_split_are_told(tmp_path: Path) -> None:
    for name in COLOURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.png").write_bytes(encoded(image(name, np.random.default_rng(0))))
    with pytest.raises(DataError, match="3 images of 3 classes: too few"):
        load_folder(tmp_path, WANTED, 0.2, 1)


@pytest.mark.parametrize("recipe", ["textbook", "strong"])
def test_a_network_for_ones_own_images_is_right_about_them_over_http(folder: Path, tmp_path: Path, recipe: str) -> None:
    output = tmp_path / "colours.h5"
    (folder / "red" / "notes.txt").write_text("no image")
    finished = run_to_end(
        "training", "--data", folder, "--recipe", recipe, "--image-size", 16, "--channels", 3, "--filters", "8,8",
        "--dense", 16, "--epochs", 40, "--patience", 40, "--batch-size", 8, "--learning-rate", 0.005,
        "--validation-share", 0.2, "--output", output, "--runs-dir", tmp_path / "runs",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert "1 of the files cannot be read and are left out:" in finished.stdout
    card = read_card(output)
    assert card is not None
    assert card.class_names == ("blue", "green", "red")
    assert (card.input.preparation, card.input.channels) == ("resize", 3)
    random = np.random.default_rng(5)
    with running_service("--model-path", output) as service:
        for name in [*COLOURS] * 4:
            answer = httpx.post(f"{service.url}/predict", files={"file": encoded(image(name, random), "JPEG")})
            assert answer.json()["label"] == name


def test_mnist_is_taken_from_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = np.arange(10 * 28 * 28, dtype=np.uint8).reshape(10, 28, 28), np.arange(10, dtype=np.uint8)
    monkeypatch.setattr("keras.datasets.mnist.load_data", lambda: ((images, labels), (images[:4], labels[:4])))
    split = load_mnist(0.2, 42)
    assert (len(split.training_labels), len(split.validation_labels), len(split.test_labels)) == (8, 2, 4)
    assert split.training_pictures.shape == (8, 28, 28, 1)
    assert split.class_names[7] == "7"
    assert np.array_equal(split.training_pictures[..., 0], images[split.training_labels])


def test_a_download_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no network")

    monkeypatch.setattr("keras.datasets.mnist.load_data", fail)
    with pytest.raises(DataError, match="could not be downloaded \\(no network\\)"):
        load_mnist(0.2, 42)


def test_of_many_files_that_cannot_be_read_twenty_are_named(folder: Path) -> None:
    for number in range(25):
        (folder / "red" / f"{number}.txt").write_text("no image")
    console = Console(record=True, width=400, file=io.StringIO())
    split = load(TrainingSettings(data=str(folder), image_size=8), console)
    assert split.training_pictures.shape[1:] == (8, 8, 1)
    told = console.export_text()
    assert told.startswith("25 of the files cannot be read and are left out:")
    assert told.count(".txt: ") == 20
    assert "and 5 more" in told


def test_names_of_files_neither_begin_a_line_nor_command_the_terminal(folder: Path) -> None:
    (folder / "red" / "[bold] \n25 epochs run\x1b[2J.txt").write_text("no image")
    console = Console(record=True, width=400, file=io.StringIO())
    load(TrainingSettings(data=str(folder), image_size=8), console)
    told = console.export_text()
    assert r"[bold] \n25 epochs run\x1b[2J.txt: " in told
    assert "\x1b" not in told


def test_what_data_names_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.fit.load_mnist", lambda share, seed: ("mnist", share, seed))
    monkeypatch.setattr("training.fit.load_fashion_mnist", lambda place, share, seed: ("fashion", place, share, seed))
    console = Console(quiet=True)
    assert load(TrainingSettings(data="mnist"), console) == ("mnist", 0.2, 42)
    assert load(TrainingSettings(seed=1), console) == ("fashion", None, 0.2, 1)
