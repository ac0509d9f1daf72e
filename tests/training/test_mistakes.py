"""The page of mistakes: which ones it shows, that names of others stay text, and that it stays small."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.samples import sample_split
from training.data import Split
from training.mistakes import mistakes_page, worst_mistakes


def answers_of(confidences: list[tuple[int, float]], classes: int = 3) -> np.ndarray:
    """Probabilities in which each answer has its confidence, and the other classes share the rest."""
    rows = np.zeros((len(confidences), classes), np.float32)
    for row, (answer, confidence) in zip(rows, confidences, strict=True):
        row[:] = (1 - confidence) / (classes - 1)
        row[answer] = confidence
    return rows


def split_of(pictures: np.ndarray, labels: list[int], **changed: object) -> Split:
    return replace(sample_split(), test_pictures=pictures, test_labels=np.array(labels, np.uint8), **changed)


def pictures_on(page: str) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^\"]+)\"", page)]


def test_the_most_confident_wrong_answer_is_first_and_right_ones_are_left_out() -> None:
    probabilities = answers_of([(0, 0.99), (1, 0.6), (2, 0.9), (1, 0.7)])
    assert worst_mistakes(np.array([0, 0, 1, 2], np.uint8), probabilities) == [(2, 1, 2), (3, 2, 1), (1, 0, 1)]


def test_one_confusion_does_not_take_the_place_of_others() -> None:
    # 300 times 0 taken for 1, all more confident than one mistake of each of 89 other pairs.
    pairs = [(label, answer) for label in range(10) for answer in range(10) if label != answer]
    labels = [0] * 300 + [label for label, _ in pairs[1:]]
    probabilities = answers_of([(1, 0.99)] * 300 + [(answer, 0.5) for _, answer in pairs[1:]], classes=10)
    shown = worst_mistakes(np.array(labels), probabilities)
    assert sum((one.label, one.answer) == (0, 1) for one in shown) == 3
    assert {(one.label, one.answer) for one in shown} == set(pairs)


def test_where_there_are_only_two_classes_the_page_is_filled_all_the_same() -> None:
    labels = np.array([0] * 200 + [1] * 200)
    shown = worst_mistakes(labels, answers_of([(1, 0.9)] * 200 + [(0, 0.8)] * 200, classes=2))
    assert [one.label for one in shown] == [0] * 50 + [1] * 50


def test_it_tells_accuracy_classes_and_probabilities_and_shows_the_picture_as_it_is() -> None:
    split = sample_split()
    wrong = (int(split.test_labels[5]) + 1) % 10
    probabilities = answers_of([(int(label), 0.91) for label in split.test_labels], classes=10)
    probabilities[5] = answers_of([(wrong, 0.82)], classes=10)
    page = mistakes_page(split, probabilities)
    assert "39 of 40 test images are answered right: an accuracy of 0.9750. Here is the mistake" in page
    assert f"{split.class_names[wrong]}</dd><dd>82.0%" in page
    assert f"{split.class_names[split.test_labels[5]]}</dd><dd>2.0%" in page
    assert "test image 5" in page
    (picture,) = pictures_on(page)
    assert np.array_equal(np.asarray(picture), split.test_pictures[5, ..., 0])
    assert 'class="crisp"' in page


def test_without_a_mistake_it_says_so() -> None:
    split = sample_split()
    page = mistakes_page(split, answers_of([(int(label), 0.9) for label in split.test_labels], classes=10))
    assert "40 of 40 test images are answered right: an accuracy of 1.0000. There is no mistake." in page
    assert "<img" not in page


def test_names_of_others_stay_text() -> None:
    page = mistakes_page(
        split_of(
            np.zeros((1, 8, 8, 3), np.uint8),
            [0],
            name="$data & sons",
            class_names=('<script>alert("x")</script>', "b" * 5000, "c"),
            test_files=(Path("folder") / "a\n\udcff\u202e<b>.png",),
        ),
        answers_of([(1, 0.9)]),
    )
    assert "<script" not in page
    assert "<b>" not in page
    assert "$data &amp; sons" in page
    assert r"a\n\udcff\u202e&lt;b&gt;.png" in page
    assert "b" * 79 + "…" in page
    assert "b" * 80 not in page
    page.encode()


@pytest.mark.parametrize("shape", [(64, 64, 3), (224, 224, 3), (300, 80, 1)])
def test_a_hundred_of_the_worst_pictures_are_about_two_megabytes(shape: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, *shape), np.uint8)
    page = mistakes_page(split_of(noise, [0] * 120), answers_of([(1, 0.9)] * 120, classes=10))
    pictures = pictures_on(page)
    assert len(pictures) == 100
    assert max(max(picture.size) for picture in pictures) <= 160
    assert len(page) < 2_200_000
    assert "100 of the 120 mistakes" in page


def test_it_needs_nothing_from_elsewhere() -> None:
    split = sample_split()
    page = mistakes_page(split, answers_of([(0, 0.9)] * 40, classes=10))
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
