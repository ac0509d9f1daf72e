"""What a person wants to know after a run: figures for the card, images, a table on the terminal."""

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.card import ClassFigures, Evaluation, Score, Training
from models.charts import confusion_matrix, learning_curves
from models.printable import printable
from training.calibration import Probabilities, expected_calibration_error
from training.data import Labels, Split
from training.errors import reason_of
from training.mistakes import write_mistakes

_MOST_CLASSES, _MOST_CONFUSIONS = 20, 3
_LEAST_PROBABILITY = 1e-7  # as Keras counts the loss of an answer that is quite wrong


def evaluate(split: Split, validation: Probabilities, test: Probabilities) -> Evaluation:
    """Judge a network by its probabilities (images, classes) for the validation and the test images."""
    matrix = count_answers(split.test_labels, test.argmax(axis=1), len(split.class_names))
    return Evaluation(
        validation=_score(validation, split.validation_labels),
        test=_score(test, split.test_labels),
        calibration_error=expected_calibration_error(test, split.test_labels),
        per_class=class_figures(split.class_names, matrix),
        confusion_matrix=tuple(map(tuple, matrix.tolist())),
    )


def count_answers(labels: Labels, answers: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """The confusion matrix: (classes, classes) counts, a row for each true class, a column for each answer."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, answers), 1)
    return matrix


def class_figures(class_names: tuple[str, ...], matrix: npt.NDArray[np.int64]) -> tuple[ClassFigures, ...]:
    """Precision, recall and F1 of each class, from the confusion matrix; 0 where there is nothing to divide by."""
    right, answered, images = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    return tuple(
        ClassFigures(
            name=name,
            precision=float(right[index] / max(1, answered[index])),
            recall=float(right[index] / max(1, images[index])),
            f1=float(2 * right[index] / max(1, answered[index] + images[index])),
            pictures=int(images[index]),
        )
        for index, name in enumerate(class_names)
    )


def draw_run(
    run_dir: Path,
    network: keras.Model,
    split: Split,
    test: Probabilities,
    training: Training,
    evaluation: Evaluation,
    console: Console,
) -> None:
    """Write learning curves, confusion matrix, the page of mistakes and the architecture into the run's folder.

    The model is published by then: what cannot be written is told on `console`.
    """
    try:
        (run_dir / "learning-curves.png").write_bytes(learning_curves(training, "png"))
        (run_dir / "confusion-matrix.png").write_bytes(confusion_matrix(split.class_names, evaluation, "png"))
        write_mistakes(run_dir / "mistakes.html", split, test)
        _draw_architecture(run_dir, network, console)
    except OSError as error:
        console.print(
            f"The run's pictures in {run_dir} are not complete ({reason_of(error)}); the model is published",
            soft_wrap=True,
        )


def _draw_architecture(run_dir: Path, network: keras.Model, console: Console) -> None:
    try:
        keras.utils.plot_model(network, run_dir / "architecture.png", show_shapes=True, dpi=144)
    except ImportError:
        console.print("architecture.png is left out: drawing it needs Graphviz (`apt-get install graphviz`)")


def print_report(training: Training, evaluation: Evaluation, output: Path, run_dir: Path, console: Console) -> None:
    """The tables at the end of a run: the figures of both parts, those of each class, and where the files are."""
    validation, test = evaluation.validation, evaluation.test
    table = Table("", "validation", "test", title="Result", title_justify="left", min_width=44)
    table.add_row("loss", f"{validation.loss:.4f}", f"{test.loss:.4f}")
    table.add_row("accuracy", f"{validation.accuracy:.4f}", f"{test.accuracy:.4f}")
    console.print()
    console.print(table)
    console.print(class_table(evaluation.per_class))
    confusions = frequent_confusions(evaluation)
    if confusions:
        console.print(f"Most frequent confusions: {'; '.join(confusions)}", soft_wrap=True)
    facts = {
        "calibration": f"probabilities are off by {evaluation.calibration_error:.4f} on average",
        "epochs run": f"{len(training.history)}, best: {training.best_epoch}",
        "seconds": f"{training.seconds:.0f}",
        "model file": output,
        "run's files": run_dir,
    }
    for name, fact in facts.items():
        console.print(f"{name:13}{fact}", soft_wrap=True)


def class_table(figures: tuple[ClassFigures, ...]) -> Table:
    """The test's figures of each class, for the terminal; of many classes, those with the lowest F1."""
    title, shown = "Test, by class", figures
    if len(figures) > _MOST_CLASSES:
        shown = tuple(sorted(figures, key=lambda one: one.f1)[:_MOST_CLASSES])
        title = f"Test, the {_MOST_CLASSES} classes of {len(figures)} with the lowest F1"
    table = Table("class", title=title, title_justify="left", min_width=44)
    for column in ("precision", "recall", "F1", "images"):
        table.add_column(column, justify="right")
    for one in shown:
        # As text, in which brackets are no markup.
        name = Text(printable(one.name))
        table.add_row(name, f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", f"{one.pictures:,}")
    return table


def frequent_confusions(evaluation: Evaluation) -> list[str]:
    """The pairs that were confused most often in the test, in words, the most frequent first."""
    classes, matrix = evaluation.per_class, np.array(evaluation.confusion_matrix)
    np.fill_diagonal(matrix, 0)
    worst = np.argsort(-matrix, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    return [
        f"{printable(classes[label].name)} taken for {printable(classes[answer].name)}, "
        f"{matrix[label, answer]:,} of {classes[label].pictures:,}"
        for label, answer in zip(*np.unravel_index(worst, matrix.shape), strict=True)
        if matrix[label, answer]
    ]


def _score(probabilities: Probabilities, labels: Labels) -> Score:
    right = np.maximum(probabilities[np.arange(len(labels)), labels], _LEAST_PROBABILITY)
    answers = probabilities.argmax(axis=1)
    return Score(loss=-float(np.mean(np.log(right))), accuracy=float(np.mean(answers == labels)))
