"""The figures of a run, on matrices small enough to check by hand."""

import io

import numpy as np
from rich.console import Console

from models.card import Evaluation, Score
from training.report import class_figures, class_table, count_answers, frequent_confusions


def test_answers_are_counted_by_true_class_and_answer() -> None:
    matrix = count_answers(np.array([0, 0, 1, 2], np.uint8), np.array([0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_precision_recall_and_f1() -> None:
    first, second, third = class_figures(("a", "b", "c"), np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]]))
    assert (first.precision, first.recall, first.f1, first.pictures) == (0.5, 0.5, 0.5, 2)
    assert (second.precision, second.recall, second.f1, second.pictures) == (0.5, 1.0, 2 / 3, 1)
    assert (third.precision, third.recall, third.f1, third.pictures) == (0, 0, 0, 1)


def text_of(shown: object) -> str:
    console = Console(record=True, width=100, file=io.StringIO(), markup=False)
    console.print(shown)
    return console.export_text()


def test_each_class_has_a_row_and_its_name_is_no_markup() -> None:
    text = text_of(class_table(class_figures(("[red]a", "b\x1b[2J"), np.array([[3, 1], [0, 1200]]))))
    assert "Test, by class" in text
    rows = [line.replace("│", " ").split() for line in text.splitlines() if "│" in line]
    assert rows == [["[red]a", "1.000", "0.750", "0.857", "4"], [r"b\x1b[2J", "0.999", "1.000", "1.000", "1,200"]]


def test_of_many_classes_the_worst_are_shown() -> None:
    names = tuple(f"class-{index:02}" for index in range(25))
    matrix = np.diag(np.arange(25) + 1)
    matrix[:, 0] += 5  # so that the rarer a class is, the lower its recall
    text = text_of(class_table(class_figures(names, matrix)))
    assert "the 20 classes of 25 with the lowest F1" in text
    assert [name for name in names if name not in text] == list(names[20:])
    assert text.index("class-01") < text.index("class-02")


def evaluation_of(matrix: list[list[int]]) -> Evaluation:
    score = Score(loss=1, accuracy=0.5)
    return Evaluation(
        validation=score,
        test=score,
        per_class=class_figures(("a", "b", "c"), np.array(matrix)),
        confusion_matrix=tuple(map(tuple, matrix)),
    )


def test_the_most_frequent_confusions_are_told_in_words() -> None:
    assert frequent_confusions(evaluation_of([[5, 2, 0], [0, 9, 1], [3, 4, 1]])) == [
        "c taken for b, 4 of 8",
        "c taken for a, 3 of 8",
        "a taken for b, 2 of 7",
    ]
    assert frequent_confusions(evaluation_of([[5, 0, 0], [0, 9, 1], [0, 0, 1]])) == ["b taken for c, 1 of 10"]
    assert frequent_confusions(evaluation_of([[5, 0, 0], [0, 9, 0], [0, 0, 1]])) == []
