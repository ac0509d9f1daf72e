"""What the options, and labels in a file, say of a model."""

from pathlib import Path

import pytest

from models.card import ModelFileError
from models.pixels import option_values_joined
from models.specification import Facts
from service.model_files.labels import read_labels
from service.model_files.options import facts_of
from service.settings import ModelSettings, ServiceSettings


def test_nothing_given_says_nothing() -> None:
    assert facts_of(ServiceSettings()) == Facts()


def test_every_option_is_a_fact(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n")
    arguments = ["--labels", str(tmp_path / "labels.txt"), "--pixels", "-1..1", "--fit", "crop", "--head", "logits"]
    arguments += ["--interpolation", "area", "--channel-order", "bgr", "--image-size", "180x240", "--output", "kind"]
    arguments += ["--model-name", "pets", "--label-threshold", "0.7"]
    assert facts_of(ServiceSettings(_cli_parse_args=option_values_joined(arguments))) == Facts(
        name="pets",
        class_names=("cat", "dog"),
        head="logits",
        output="kind",
        label_threshold=0.7,
        image_size=(180, 240),
        channel_order="bgr",
        fit="crop",
        interpolation="area",
        pixels="-1..1",
    )


def test_a_quote_that_is_not_closed_is_told() -> None:
    with pytest.raises(ValueError, match=r"it is no CSV .*close each quote"):
        ServiceSettings(class_names='cat,"owl, grey')  # type: ignore[arg-type]


def test_class_names_are_a_row_of_csv_also_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLASS_NAMES", "MODEL_PATH"):
        monkeypatch.setenv(f"SERVICE_{name}", "")  # put back when the test ends
    names = ("cat", "owl, grey", 'the "dog"')
    settings = ServiceSettings(class_names='cat,"owl, grey","the ""dog"""')  # type: ignore[arg-type]
    assert settings.class_names == names
    settings.export()
    assert ServiceSettings().class_names == names


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (ModelSettings(class_names=("cat",)), "two classes at least"),
        (ModelSettings(class_names=("a", "b"), labels=Path("labels.txt")), "both name the classes"),
        (ModelSettings(labels=Path("nowhere.txt")), "there is no file nowhere.txt"),
        (ModelSettings(pixels="caffe", channel_order="rgb"), "channel order bgr, not rgb"),
    ],
)
def test_what_does_not_go_together_is_told(settings: ModelSettings, reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        facts_of(settings)


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("a.txt", "cat\ndog\n", ("cat", "dog")),
        ("a.txt", "\ufeff0 cat\r\n1 big dog\r\n", ("cat", "big dog")),
        ("a.txt", "3 apples\n1 pear\n", ("3 apples", "1 pear")),
        ("a.json", '{"dog": 1, "cat": 0}', ("cat", "dog")),
        ("a.json", '{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ("a.json", '["cat", "dog"]', ("cat", "dog")),
    ],
)
def test_labels_are_read_as_people_write_them(tmp_path: Path, name: str, content: str, names: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_labels(tmp_path / name) == names


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b""),
        ("a.txt", b"cat"),
        ("a.txt", b"\xff\xfe"),
        ("a.txt", b"x\n" * 600_000),
        ("a.txt", b"<!DOCTYPE html>\n<title>Log in</title>\n"),
        ("a.txt", b"<?xml version='1.0'?>\n<Error>\n<Code>NoSuchKey</Code>\n</Error>\n"),
        ("a.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 42\n"),
        ("a.json", b'{"cat": 0}'),
        ("a.json", b'{"cat": 0, "dog": 2}'),
        ("a.json", b"[1, 2]"),
        ("a.json", b"[" * 100_000),
        ("a.json", b"cat"),
    ],
)
def test_labels_that_are_none_are_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=name):
        read_labels(tmp_path / name)
