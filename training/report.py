"""What a person wants to know after a run: figures for the card, images, a table on the terminal."""

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from models.card import ClassFigures, Evaluation, Score, Training
from models.charts import confusion_matrix, learning_curves
from training.batches import Batches
from training.calibration import expected_calibration_error
from training.data import Labels, Split


def evaluate(network: keras.Model, split: Split, scale: float) -> Evaluation:
    """Judge the network on the validation and the test images, each pixel times `scale`."""
    validation = _score(network, Batches(split.validation_pictures, split.validation_labels, scale))
    tests = Batches(split.test_pictures, split.test_labels, scale)
    test = _score(network, tests)
    probabilities = network.predict(tests, verbose=0)
    matrix = count_answers(split.test_labels, probabilities.argmax(axis=1), len(split.class_names))
    return Evaluation(
        validation=validation,
        test=test,
        calibration_error=expected_calibration_error(probabilities, split.test_labels),
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
    class_names: tuple[str, ...],
    training: Training,
    evaluation: Evaluation,
    console: Console,
) -> None:
    """Write the learning curves, the confusion matrix and the architecture into the run's folder, as PNG."""
    (run_dir / "learning-curves.png").write_bytes(learning_curves(training, "png"))
    (run_dir / "confusion-matrix.png").write_bytes(confusion_matrix(class_names, evaluation, "png"))
    try:
        keras.utils.plot_model(network, run_dir / "architecture.png", show_shapes=True, dpi=144)
    except ImportError:
        console.print("architecture.png is left out: drawing it needs Graphviz (`apt-get install graphviz`)")


def print_report(training: Training, evaluation: Evaluation, output: Path, run_dir: Path, console: Console) -> None:
    """The table at the end of a run."""
    validation, test = evaluation.validation, evaluation.test
    table = Table("", "validation", "test", title="Result", title_justify="left", min_width=44)
    table.add_row("loss", f"{validation.loss:.4f}", f"{test.loss:.4f}")
    table.add_row("accuracy", f"{validation.accuracy:.4f}", f"{test.accuracy:.4f}")
    console.print()
    console.print(table)
    facts = {
        "calibration": f"probabilities are off by {evaluation.calibration_error:.4f} on average",
        "epochs run": f"{len(training.history)}, best: {training.best_epoch}",
        "seconds": f"{training.seconds:.0f}",
        "model file": output,
        "run's files": run_dir,
    }
    for name, fact in facts.items():
        console.print(f"{name:13}{fact}", soft_wrap=True)


def _score(network: keras.Model, batches: Batches) -> Score:
    loss, accuracy = network.evaluate(batches, verbose=0)
    return Score(loss=loss, accuracy=accuracy)
