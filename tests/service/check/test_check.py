"""`cnn-check` on models of which the truth is known: what it prints, how it exits, what it writes."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import pytest

from models.card import read_card, write_card
from models.specification import Facts
from service.check.__main__ import main
from service.check.pictures import chosen
from service.model_files.loading import load_model
from service.model_files.snapshot import ModelFileLimits
from tests.attacks.callers import ESCAPES, FORGED_LINE, class_names_that_forge_lines
from tests.processes import run_to_end
from tests.service.check.drawings import (
    NAMES,
    brightness_model,
    fitted_model,
    remembering_model,
    write_drawings,
    write_stripes,
)
from tests.service.model_files.validation.test_teachable_zip import zip_of


class Finished(NamedTuple):
    status: int
    out: str
    err: str


Check = Callable[..., Finished]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """The command line, in this process and on wide lines."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["cnn-check", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Finished(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitted to pixels of -1..1 in BGR, cropped, with the letters of the classes reversed."""
    path = tmp_path_factory.mktemp("fitted") / "fitted.keras"
    fitted_model("-1..1", "bgr", (3, 2, 1, 0)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawings(tmp_path_factory.mktemp("drawings"), 120)


def row(out: str, field: str) -> list[str]:
    """The cells of a row in the table of assumptions."""
    line = next(line for line in out.splitlines() if line.startswith(f"│ {field} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


# Without pictures


def test_the_command_says_what_is_assumed(bare_model_file: Path) -> None:
    finished = run_to_end("service.check", bare_model_file, COLUMNS="200")
    assert finished.returncode == 1
    assert row(finished.stdout, "pixels") == ["pixels", "0..1", "the default: nothing says otherwise", "guessed"]
    assert row(finished.stdout, "head") == ["head", "softmax", "the last activation", ""]
    assert "Guessed: class_names, pixels, channel_order, fit, interpolation." in finished.stdout
    assert "--pixels 0..1, -1..1, 0..255, caffe or torch" in finished.stdout
    assert "--pictures FOLDER" in finished.stdout
    assert "Traceback" not in finished.stderr


def test_help_needs_no_tensorflow() -> None:
    finished = run_to_end("service.check", "--help", PYTHONPROFILEIMPORTTIME="1")
    assert finished.returncode == 0
    assert "--write-card" in finished.stdout
    imported = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "service.check.settings" in imported
    assert imported.isdisjoint({"tensorflow", "keras"})


@pytest.mark.parametrize("pixels", [("--pixels", "-1..1"), ("--pixels=-1..1",)])
def test_with_all_options_nothing_is_guessed(check: Check, bare_model_file: Path, pixels: tuple[str, ...]) -> None:
    said = ("--class-names", "one,two,three", "--channel-order", "bgr", "--fit", "pad", "--interpolation", "area")
    finished = check(bare_model_file, *said, *pixels)
    assert finished.status == 0
    assert row(finished.out, "pixels") == ["pixels", "-1..1", "an option", ""]
    assert "Nothing is guessed." in finished.out


def test_with_a_card_nothing_is_guessed(check: Check, model_file: Path) -> None:
    assert check(model_file).status == 0


def test_names_in_the_file_neither_begin_a_line_nor_command_the_terminal(check: Check, model_file: Path) -> None:
    card = read_card(model_file)
    assert card is not None
    write_card(model_file, card.model_copy(update={"class_names": class_names_that_forge_lines(), "name": ESCAPES}))
    finished = check(model_file)
    assert "[red]owl[/red]" in finished.out
    assert not [line for line in finished.out.splitlines() if line.startswith(FORGED_LINE[:10])]
    assert "\x1b" not in finished.out
    assert "\u202e" not in finished.out


def test_nor_does_what_is_refused(check: Check, tmp_path: Path) -> None:
    path = tmp_path / f"model\n{FORGED_LINE}{ESCAPES}.h5".replace("/", "")
    path.write_bytes(b"no model")
    finished = check(path)
    assert finished.status == 3
    assert len(finished.err.splitlines()) == 1
    assert "\x1b" not in finished.err


# Pictures with labels


def test_everything_is_recovered_and_written(check: Check, fitted: Path, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.keras"
    finished = check(fitted, "--pictures", folder, "--write-card", copy, "--interpolation", "bilinear")
    assert finished.status == 0, finished.out
    assert "Best is pixels -1..1, channel_order bgr, fit crop, class_names suggested" in finished.out
    assert (
        "--interpolation bilinear --pixels=-1..1 --channel-order bgr --fit crop --class-names dust,coal,bush,amber"
        in finished.out
    )
    assert "nothing of it is guessed" in finished.out
    card = load_model(copy, Facts(), ModelFileLimits()).card
    assert card.class_names == NAMES[::-1]
    assert (card.input.channel_order, card.input.fit, card.input.offset) == ("bgr", "crop", -1.0)
    assert read_card(fitted) is None
    assert [file.name for file in tmp_path.iterdir()] == ["copy.keras"]


def test_what_options_say_is_not_tried(check: Check, fitted: Path, folder: Path) -> None:
    finished = check(fitted, "--pictures", folder, "--pixels", "-1..1", "--channel-order", "bgr", "--fit", "crop")
    assert finished.status == 1
    assert "0..255" not in finished.out.partition("Right answers on 120 pictures")[2]
    assert "Best is class_names suggested" in finished.out


def test_the_interpolation_is_told_where_it_matters_and_options_are_kept(check: Check, tmp_path: Path) -> None:
    brightness_model().save(tmp_path / "model.keras")
    pictures = write_stripes(tmp_path / "pictures", 80)
    finished = check(tmp_path / "model.keras", "--pictures", pictures, "--pixels", "0..1", "--label-threshold", "0.4")
    assert "Best is interpolation nearest: 80 of 80 are right" in finished.out
    assert "interpolation: clear, nearest: the best with another value" in finished.out
    assert "--pixels 0..1 --label-threshold 0.4 --interpolation nearest" in finished.out


def test_the_interpolation_is_not_tried_where_an_option_says_it(check: Check, tmp_path: Path) -> None:
    brightness_model().save(tmp_path / "model.keras")
    pictures = write_stripes(tmp_path / "pictures", 80)
    finished = check(tmp_path / "model.keras", "--pictures", pictures, "--interpolation", "bilinear")
    assert "nearest" not in finished.out.partition("Right answers")[2]


def test_labels_in_the_wrong_order_are_found(check: Check, fitted: Path, folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(fitted.read_bytes())
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    said = ("--pixels", "-1..1", "--channel-order", "bgr", "--fit", "crop", "--pictures", folder)
    finished = check(model, *said)
    assert finished.status == 1
    assert "class_names: clear, suggested: the best with another value, by name" in finished.out


def test_the_names_of_the_folders_count_in_any_case(check: Check, fitted: Path, folder: Path) -> None:
    said = ("--pixels", "-1..1", "--channel-order", "bgr", "--fit", "crop", "--pictures", folder)
    finished = check(fitted, *said, "--class-names", "Dust,COAL,Bush,Amber", "--interpolation", "bilinear")
    assert finished.status == 0
    assert "What is assumed fits best, or as well" in finished.out


def test_pictures_of_another_kind_tell_nothing(check: Check, fitted: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    write_drawings(pictures, 40, ("a", "a", "b", "b"))
    for file in sorted((pictures / "a").iterdir())[::2]:
        file.rename(pictures / "b" / f"moved-{file.name}")
    copy = tmp_path / "copy.keras"
    finished = check(fitted, "--pictures", pictures, "--write-card", copy)
    assert "No combination is better than chance" in finished.out
    assert finished.status == 1
    card = read_card(copy)
    assert card is not None
    assert card.assumed == ("class_names", "pixels", "channel_order", "fit", "interpolation")
    guessed = {finding.field for finding in load_model(copy, Facts(), ModelFileLimits()).findings if finding.guessed}
    assert guessed == set(card.assumed)


def test_damaged_files_are_counted(check: Check, fitted: Path, tmp_path: Path) -> None:
    pictures = write_drawings(tmp_path / "pictures", 12)
    (pictures / "amber" / "notes.txt").write_text("no picture")
    (pictures / "coal" / "cut.png").write_bytes((pictures / "coal" / "2.png").read_bytes()[:50])
    finished = check(fitted, "--pictures", pictures)
    assert "2 files cannot be read as pictures and are left out." in finished.out
    assert "on 12 pictures" in finished.out


def test_most_says_how_many(check: Check, fitted: Path, folder: Path) -> None:
    assert "on 8 pictures" in check(fitted, "--pictures", folder, "--most", 8).out


# Pictures without labels


def test_normalization_tells_the_pixels(check: Check, tmp_path: Path) -> None:
    model, copy = tmp_path / "model.h5", tmp_path / "copy.h5"
    remembering_model("caffe", "bgr").save(model)
    pictures = write_drawings(tmp_path / "pictures", 40, None)
    finished = check(model, "--pictures", pictures, "--write-card", copy)
    assert "\npixels caffe, channel order bgr." in finished.out
    assert "Still a guess, of which the service will warn: fit: stretch" in finished.out
    assert finished.status == 1
    finished = check(
        model,
        "--pictures",
        pictures,
        "--write-card",
        copy,
        "--force",
        "--class-names",
        "a,b,c",
        "--fit",
        "stretch",
        "--interpolation",
        "bilinear",
    )
    assert "nothing of it is guessed: it needs no option" in finished.out
    assert finished.status == 0
    card = read_card(copy)
    assert card is not None
    assert (card.input.channel_order, card.input.offset) == ("bgr", (-103.939, -116.779, -123.68))


def test_without_normalization_nothing_is_told(check: Check, fitted: Path, tmp_path: Path) -> None:
    finished = check(fitted, "--pictures", write_drawings(tmp_path, 8, None))
    assert finished.status == 1
    assert "only of a model with a BatchNormalization layer" in finished.out


def test_what_normalization_does_not_know_is_not_told(check: Check, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = remembering_model("0..1", "rgb")
    inner = model.layers[0].layers[1]
    gamma, beta, mean, variance = inner.get_weights()
    inner.set_weights([gamma, beta, mean + 50, variance])
    model.save(tmp_path / "model.keras")
    finished = check(tmp_path / "model.keras", "--pictures", write_drawings(tmp_path / "pictures", 8, None))
    assert "what fits cannot be told" in finished.out


# The copy


def test_of_teachable_machines_zip_the_model_is_written(check: Check, bare_model_file: Path, tmp_path: Path) -> None:
    packed, copy = tmp_path / "converted_keras.zip", tmp_path / "copy.h5"
    parts = {"keras_model.h5": bare_model_file.read_bytes(), "labels.txt": b"0 cat\n1 dog\n2 owl\n"}
    packed.write_bytes(zip_of(**parts))
    options = ("--pixels", "-1..1", "--channel-order", "rgb", "--fit", "stretch", "--interpolation", "bilinear")
    assert check(packed, "--write-card", copy, *options).status == 0
    card = load_model(copy, Facts(), ModelFileLimits()).card
    assert (card.class_names, card.input.offset) == (("cat", "dog", "owl"), -1.0)


def test_a_copy_is_only_replaced_when_told(check: Check, bare_model_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_text("what was there")
    finished = check(bare_model_file, "--write-card", copy)
    assert (finished.status, copy.read_text()) == (2, "what was there")
    assert "there already is" in finished.err
    assert check(bare_model_file, "--write-card", copy, "--force").status == 1
    assert read_card(copy) is not None
    finished = check(bare_model_file, "--write-card", bare_model_file, "--force")
    assert finished.status == 2
    assert "is the model itself" in finished.err
    finished = check(bare_model_file, "--write-card", tmp_path / "copy.keras")
    assert "the copy of this model is a .h5" in finished.err
    assert [file.name for file in tmp_path.iterdir()] == ["copy.h5"]


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--pixels", "0..2"], "--pixels: Input should be"),
        (["--most", "1"], "--most: Input should be"),
        (["--pixels", "caffe", "--channel-order", "rgb"], "the options do not go together"),
        (["--labels", "missing.txt"], "there is no file missing.txt"),
        (["--pictures", "missing"], "missing cannot be read as a folder"),
        (["--write-card", "missing/copy.h5"], "there is no folder missing"),
    ],
)
def test_wrong_arguments_are_one_line(check: Check, bare_model_file: Path, arguments: list[str], reason: str) -> None:
    finished = check(bare_model_file, *arguments)
    assert finished.status == 2
    (line,) = finished.err.splitlines()
    assert line.startswith("cnn-check: ")
    assert reason in line


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "holds no file"),
        (["only/1.png"], "has one subfolder, only"),
        (
            ["train/a/1.png", "val/a/1.png"],
            "has the parts of a data set, train, val, and not a subfolder for each class",
        ),
        (["1.png"], "none of 1 files can be read as a picture"),
        (["a/1.png", "b/1.png", "c/1.png", "d/1.png"], "none of 4 files can be read"),
    ],
)
def test_folders_without_pictures_are_refused(
    check: Check, bare_model_file: Path, tmp_path: Path, files: list[str], reason: str
) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"no picture")
    finished = check(bare_model_file, "--pictures", tmp_path)
    assert finished.status == 2
    assert reason in finished.err


def test_what_systems_leave_among_pictures_is_no_picture(tmp_path: Path) -> None:
    for file in (
        "a/1.png", "a/@eaDir/1.png/thumb.png", "a/.ipynb_checkpoints/1.png", "b/2.png", "b/__MACOSX/2.png",
        "b/deeper/3.png", "b/deeper/Thumbs.db",
    ):  # fmt: skip
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert {path.name for path, _ in chosen(tmp_path).files} == {"1.png", "2.png", "3.png"}
    assert len(chosen(tmp_path).files) == 3


def test_more_folders_than_classes_are_refused(check: Check, bare_model_file: Path, folder: Path) -> None:
    finished = check(bare_model_file, "--pictures", folder)
    assert finished.status == 2
    assert "has 4 subfolders, but the model 3 classes" in finished.err


def test_other_names_than_were_given_are_refused(check: Check, fitted: Path, folder: Path) -> None:
    finished = check(fitted, "--pictures", folder, "--class-names", "one,two,three,four")
    assert finished.status == 2
    assert "have other names than the classes that were given" in finished.err


def test_of_a_folder_the_only_model_is_taken(check: Check, bare_model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "keras_model.h5").write_bytes(bare_model_file.read_bytes())
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n2 owl\n")
    assert "cat, dog, owl" in check(tmp_path).out
    (tmp_path / "other.h5").write_bytes(bare_model_file.read_bytes())
    finished = check(tmp_path)
    assert finished.status == 2
    assert "has 2 models; name one of the files" in finished.err


def test_a_file_that_cannot_be_served_is_one_line(check: Check, tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Lambda(lambda values: values)])
    model.save(tmp_path / "model.keras")
    finished = check(tmp_path / "model.keras")
    assert finished.status == 3
    assert len(finished.err.splitlines()) == 1
    assert "it has a Lambda, which is Python code" in finished.err
    assert check(tmp_path / "missing.h5").status == 3
