"""Real photographs in folders, and the program that judges a model file by them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.card import FASHION_MNIST_CLASS_NAMES
from tests.processes import run_to_end
from tests.samples import SAMPLE_FILES, label_of, pixels_of
from training.errors import DataError
from training.photographs import find_photographs


def folder_of(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir()
        (root / name / "one.jpg").write_bytes(b"")
    return root


def test_folders_are_called_as_classes_or_as_several(tmp_path: Path) -> None:
    kinds = find_photographs(folder_of(tmp_path, "t-shirt_TOP", "sandal+sneaker"), FASHION_MNIST_CLASS_NAMES)
    assert [(kind.folder.name, kind.right) for kind in kinds] == [
        ("sandal+sneaker", frozenset({5, 7})),
        ("t-shirt_TOP", frozenset({0})),
    ]
    assert [file.name for file in kinds[0].files] == ["one.jpg"]


@pytest.mark.parametrize("name", ["hat", "sandal+hat", "+"])
def test_a_folder_that_names_no_class_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no class of the model; its classes: T-shirt/top, Trouser"):
        find_photographs(folder_of(tmp_path, name), FASHION_MNIST_CLASS_NAMES)


def test_folders_without_photographs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no subfolder of photographs"):
        find_photographs(tmp_path, FASHION_MNIST_CLASS_NAMES)
    with pytest.raises(DataError, match="no subfolder of photographs"):
        find_photographs(tmp_path / "absent", FASHION_MNIST_CLASS_NAMES)
    (tmp_path / "Coat").mkdir()
    with pytest.raises(DataError, match=r"there is no photograph in .*Coat"):
        find_photographs(tmp_path, FASHION_MNIST_CLASS_NAMES)


def test_the_shipped_model_is_judged_by_them(tmp_path: Path) -> None:
    """Trousers that are large, dark and on white are photographs of a kind."""
    trousers = tmp_path / "photographs" / "trouser"
    trousers.mkdir(parents=True)
    for file in [file for file in SAMPLE_FILES if label_of(file) == 1][:4]:
        large = cv2.resize(pixels_of(file), (300, 300), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(trousers / f"{file.stem}.png"), np.pad(255 - large, 40, constant_values=255))
    (trousers / "notes.txt").write_text("all by daylight")
    output = tmp_path / "figures.json"
    run_to_end("training.evaluate", "--images", 1, "--photographs", trousers.parent, "--output", output)
    assert json.loads(output.read_text())["photographs"] == {"trouser": {"photographs": 4, "accuracy": 1.0}}
