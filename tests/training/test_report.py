"""The figures of a run, on matrices small enough to check by hand."""

import numpy as np

from training.report import class_figures, count_answers


def test_answers_are_counted_by_true_class_and_answer() -> None:
    matrix = count_answers(np.array([0, 0, 1, 2], np.uint8), np.array([0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_precision_recall_and_f1() -> None:
    first, second, third = class_figures(("a", "b", "c"), np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]]))
    assert (first.precision, first.recall, first.f1, first.pictures) == (0.5, 0.5, 0.5, 2)
    assert (second.precision, second.recall, second.f1, second.pictures) == (0.5, 1.0, 2 / 3, 1)
    assert (third.precision, third.recall, third.f1, third.pictures) == (0, 0, 0, 1)
