"""A folder of somebody's own images, from the files to answers over HTTP."""

import io
import os
import zlib
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
from tests.training.test_near_duplicates import scene
from training.data import Split, load_mnist
from training.errors import DataError
from training.folder import load_folder
from training.load import load
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


def loaded(place: Path, seed: int = 1) -> tuple[Split, str]:
    """The split, and what was told."""
    console = Console(record=True, width=400, file=io.StringIO())
    split = load_folder(place, WANTED, 0.2, seed, console)
    return split, console.export_text()


def write_scenes(folder: Path, *files: str) -> Path:
    """An image in each file, of which no two are alike."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(scene(zlib.crc32(file.encode())), "PNG"))
    return folder


def many(*places: str, count: int = 10) -> list[str]:
    return [f"{place}/{number}.png" for place in places for number in range(count)]


def test_every_image_is_there_once_prepared_as_the_service_does_it(folder: Path) -> None:
    split, told = loaded(folder)
    assert "left out" not in told
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


def test_the_name_of_the_folder_need_not_be_text(folder: Path) -> None:
    split, _ = loaded(folder.rename(folder.with_name(os.fsdecode(b"hats\xe9"))))
    assert split.name == r"hats\xe9"


def test_the_data_are_the_same_wherever_they_lie(folder: Path) -> None:
    first, _ = loaded(folder)
    moved = folder.rename(folder.with_name("moved"))
    assert loaded(moved)[0].sha256 == first.sha256
    (moved / "blue").rename(moved / "azure")
    assert loaded(moved)[0].sha256 != first.sha256


def test_the_same_seed_gives_the_same_split(folder: Path) -> None:
    first, second = (loaded(folder)[0] for _ in range(2))
    assert first.sha256 == second.sha256
    assert np.array_equal(first.test_pictures, second.test_pictures)
    assert loaded(folder, seed=2)[0].sha256 != first.sha256


def test_each_class_has_its_share_in_each_part(folder: Path) -> None:
    split, _ = loaded(folder)
    parts = (split.training_labels, split.validation_labels, split.test_labels)
    assert [np.bincount(labels).tolist() for labels in parts] == [[21] * 3, [6] * 3, [3] * 3]
    assert (np.diff(split.training_labels.astype(int)) != 0).sum() > 20  # shuffled


def test_the_files_of_the_test_images_are_known(folder: Path) -> None:
    split, _ = loaded(folder)
    assert len(split.test_files) == len(split.test_labels) == 9
    for path, label, pixels in zip(split.test_files, split.test_labels, split.test_pictures, strict=True):
        assert path.is_relative_to(folder / split.class_names[label])
        assert np.array_equal(prepared_pixels(open_image(path.read_bytes(), 10_000), WANTED), pixels)


def test_given_parts_are_kept_and_a_missing_one_is_drawn_and_told(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("train/cat", "train/dog"), *many("test/cat", "test/dog", count=3))
    split, told = loaded(tmp_path)
    assert split.class_names == ("cat", "dog")
    assert [len(part) for part in (split.training_labels, split.validation_labels, split.test_labels)] == [16, 4, 6]
    assert all(path.is_relative_to(tmp_path / "test") for path in split.test_files)
    assert f"{tmp_path} has no validation part: 20% of the training images of each class are that" in told


def test_a_csv_file_names_images_classes_and_parts(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("images", count=12))
    parts = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows = (f"images/{number}.png,{number % 2},{part}\n" for number, part in enumerate(parts))
    (tmp_path / "pets.csv").write_text("path,label,split\n" + "".join(rows) + "images/12.png,1,train\n")
    split, told = loaded(tmp_path / "pets.csv")
    assert (split.name, split.class_names) == ("pets", ("0", "1"))
    assert {path.name for path in split.test_files} == {"10.png", "11.png"}
    assert sorted(split.training_labels) == [0] * 4 + [1] * 4
    assert f"{tmp_path / 'images' / '12.png'}: No such file or directory" in told


def test_a_csv_file_that_looks_in_the_wrong_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "pets.csv").write_text("path,label\n" + "".join(f"{number}.png,{number % 2}\n" for number in range(10)))
    with pytest.raises(DataError, match=r"pets\.csv: none of its 10 files can be read, .*/0\.png the first of them"):
        loaded(tmp_path / "pets.csv")


def test_a_class_without_an_image_that_can_be_read_in_a_part_is_named(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("train/cat", "train/dog", "val/cat", "val/dog", "test/cat", count=2))
    with pytest.raises(DataError, match="no image for the test of the class dog"):
        loaded(tmp_path)
    (tmp_path / "test" / "dog").mkdir()
    (tmp_path / "test" / "dog" / "1.png").write_text("found to be no image when it is read")
    with pytest.raises(DataError, match="no image for the test of the class dog"):
        loaded(tmp_path)


def test_copies_stay_in_one_part_where_that_is_drawn(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("cat", "dog", count=20))
    for number in range(20):
        image = Image.open(tmp_path / "cat" / f"{number}.png")
        (tmp_path / "cat" / f"{number}-copy.jpg").write_bytes(encoded(image.resize((200, 150)), "JPEG"))
        (tmp_path / "cat" / f"{number}-again.png").write_bytes((tmp_path / "cat" / f"{number}.png").read_bytes())
    split, told = loaded(tmp_path)
    assert told == ""
    cats = [path.stem.partition("-")[0] for path in split.test_files if path.parent.name == "cat"]
    assert len(cats) == 6
    assert len(set(cats)) == 2


def test_copies_in_several_given_parts_are_told_with_what_follows(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("train/cat", "train/dog", "val/cat", "val/dog", "test/cat", "test/dog"))
    image = tmp_path / "train" / "cat" / "0.png"
    (tmp_path / "test" / "cat" / "same.png").write_bytes(image.read_bytes())
    (tmp_path / "test" / "cat" / "small.jpg").write_bytes(encoded(Image.open(image).resize((100, 75)), "JPEG"))
    (tmp_path / "val" / "cat" / "same.png").write_bytes((tmp_path / "train" / "cat" / "1.png").read_bytes())
    _, told = loaded(tmp_path)
    assert (
        "2 of the 22 images for the test are also among those for training or validation: 1 the same file, 1 nearly "
        "the same image. The accuracy for the test may be up to 0.091 too good"
    ) in told
    assert f"{tmp_path / 'test' / 'cat' / 'same.png'} is {image}\n" in told
    assert f"{tmp_path / 'test' / 'cat' / 'small.jpg'} is nearly {image}\n" in told
    assert "1 of the 21 images for validation are also among those for training: 1 the same file" in told


def test_an_image_in_two_classes_is_told(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("cat", "dog"))
    (tmp_path / "dog" / "cat.png").write_bytes((tmp_path / "cat" / "3.png").read_bytes())
    _, told = loaded(tmp_path)
    assert "1 image is in several classes, of which one can be right at most:" in told
    assert {str(tmp_path / "cat" / "3.png"), str(tmp_path / "dog" / "cat.png")} <= set(told.split())


def test_a_class_of_images_that_are_nearly_the_same_is_split_all_the_same(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("cat"))
    (tmp_path / "dog").mkdir()
    for quality in range(30, 50):
        (tmp_path / "dog" / f"{quality}.jpg").write_bytes(encoded(scene(1), "JPEG", quality=quality))
    _, told = loaded(tmp_path)
    assert "2 of the 3 images for the test are also among those for training or validation: 0 the same file" in told


def test_copies_in_a_given_part_do_not_count_as_different_images_for_what_is_drawn(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("train/cat", "test/cat", "test/dog"))
    (tmp_path / "train" / "dog").mkdir()
    for quality in range(30, 50):
        (tmp_path / "train" / "dog" / f"{quality}.jpg").write_bytes(encoded(scene(1), "JPEG", quality=quality))
    split, _ = loaded(tmp_path)
    assert np.bincount(split.validation_labels).tolist() == [2, 4]


def test_classes_of_very_different_sizes_are_told_unless_that_is_made_up_for(tmp_path: Path) -> None:
    write_scenes(tmp_path, *many("cat", count=20), *many("dog", count=4))
    for class_weights, expected in (("none", True), ("balanced", False)):
        console = Console(record=True, width=400, file=io.StringIO())
        load(TrainingSettings(data=str(tmp_path), class_weights=class_weights), console)
        told = console.export_text()
        assert ("from 2 images for training of dog to 14 of cat" in told) == expected
        assert ("--class-weights balanced" in told) == expected


def test_files_that_cannot_be_read_are_left_out_and_named(folder: Path) -> None:
    (folder / "red" / "notes.txt").write_text("no image")
    (folder / "red" / ".DS_Store").write_text("what file managers leave")
    (folder / "blue" / "broken.png").write_bytes(encoded(Image.new("RGB", (50, 50)))[:60])
    split, told = loaded(folder)
    assert "2 of the files cannot be used and are left out:\n" in told
    assert f"{folder / 'blue' / 'broken.png'}: the PNG image" in told
    assert f"{folder / 'red' / 'notes.txt'}: the content is not" in told
    assert sum(map(len, (split.test_labels, split.validation_labels, split.training_labels))) == 90


def test_what_is_no_data_set_is_told_before_anything_is_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read as a folder"):
        loaded(tmp_path / "nowhere")
    (folder / "yellow").mkdir()
    with pytest.raises(DataError, match="there is no image for training of the class yellow"):
        loaded(folder)
    (folder / "yellow" / "1.png").touch()
    with pytest.raises(DataError, match="class yellow has 1 image for training and needs at least 3"):
        loaded(folder)


def test_one_epoch_on_a_folder_with_parts_from_the_command_line(tmp_path: Path) -> None:
    write_scenes(
        tmp_path / "data", *many("train/cat", "train/dog", "VAL/cat", "VAL/dog", "test/cat", "test/dog", count=4)
    )
    (tmp_path / "data" / "train" / "dog" / "4.png").write_bytes((tmp_path / "data/test/dog/1.png").read_bytes())
    (tmp_path / "data" / "__MACOSX").mkdir()
    finished = run_to_end(
        "training", "--data", tmp_path / "data", "--image-size", 16, "--channels", 3, "--filters", 4, "--dense", 8,
        "--epochs", 1, "--class-weights", "balanced", "--output", tmp_path / "pets.keras",
        "--runs-dir", tmp_path / "runs",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert "9 images for training, 8 for validation, 8 for the test" in finished.stdout
    assert "1 of the 8 images for the test are also among those for training or validation" in finished.stdout
    assert "Reading images" not in finished.stdout + finished.stderr
    card = read_card(tmp_path / "pets.keras")
    assert card is not None
    assert card.class_names == ("cat", "dog")
    assert card.training.settings["class_weights"] == "balanced"


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
    assert "1 of the files cannot be used and are left out:" in finished.stdout
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
    assert "25 of the files cannot be used and are left out:\n" in told
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
    monkeypatch.setattr("training.load.load_mnist", lambda share, seed: ("mnist", share, seed))
    monkeypatch.setattr("training.load.load_fashion_mnist", lambda place, share, seed: ("fashion", place, share, seed))
    console = Console(quiet=True)
    assert load(TrainingSettings(data="mnist"), console) == ("mnist", 0.2, 42)
    assert load(TrainingSettings(seed=1), console) == ("fashion", None, 0.2, 1)
