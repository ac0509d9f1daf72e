"""Charts of what a card tells: learning curves and confusion matrix, as PNG or SVG. Knows no model and no HTTP."""

import io

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.card import Evaluation, Training
from models.plot_format import PlotFormat

INK = "#1f2933"
MUTED = "#6b7785"
TRAINING_COLOUR = "#3b6fb6"
VALIDATION_COLOUR = "#c8553d"
_DOTS_PER_INCH = 144
_MOST_DOTS = 40
_MOST_COUNTS = 30


def learning_curves(training: Training, form: PlotFormat) -> bytes:
    """Loss and accuracy of training and validation over the epochs, with the epoch that was kept."""
    epochs = [epoch.epoch for epoch in training.history]
    line = "o-" if len(epochs) <= _MOST_DOTS else "-"
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    loss_axes.plot(epochs, [epoch.loss for epoch in training.history], line, color=TRAINING_COLOUR, label="training")
    loss_axes.plot(
        epochs, [epoch.validation_loss for epoch in training.history], line, color=VALIDATION_COLOUR, label="validation"
    )
    accuracy_axes.plot(epochs, [epoch.accuracy for epoch in training.history], line, color=TRAINING_COLOUR)
    accuracy_axes.plot(epochs, [epoch.validation_accuracy for epoch in training.history], line, color=VALIDATION_COLOUR)
    for axes, title in ((loss_axes, "Loss (cross-entropy)"), (accuracy_axes, "Accuracy")):
        axes.set_title(title, color=INK)
        axes.set_xlabel("epoch", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.axvline(training.best_epoch, color=MUTED, linestyle=":", label=f"kept: epoch {training.best_epoch}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    loss_axes.legend(frameon=False)
    return save_figure(figure, form)


def confusion_matrix(class_names: tuple[str, ...], evaluation: Evaluation, form: PlotFormat) -> bytes:
    """Test images by true class (row) and answer (column); a cell's shade is its share of the row.

    Of more classes than there is room for, cells have no numbers, and only some classes are named.
    """
    counts = evaluation.confusion_matrix
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    side = max(5.0, 2.2 + 0.58 * min(len(class_names), _MOST_COUNTS))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    named = range(0, len(class_names), -(-len(class_names) // _MOST_COUNTS))
    names = [class_names[index] for index in named]
    axes.set_xticks(named, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(named, names)
    axes.set_xlabel("answer", color=INK)
    axes.set_ylabel("true class", color=INK)
    axes.set_title(f"{sum(map(sum, counts)):,} test images, {evaluation.test.accuracy:.2%} right", color=INK)
    for row, row_counts in enumerate(counts if len(counts) <= _MOST_COUNTS else ()):
        for column, count in enumerate(row_counts):
            dark = shares[row][column] > 0.5
            colour = "white" if dark else (INK if count else "#b8c0ca")
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.spines[:].set_visible(False)
    return save_figure(figure, form)


def save_figure(figure: Figure, form: PlotFormat, dots_per_inch: int = _DOTS_PER_INCH) -> bytes:
    """Encode `figure`. The same figure gives the same bytes each time: no date, no random identifiers in SVG."""
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "charts", "svg.fonttype": "none", "font.family": "sans-serif"}):
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(content, format=form, dpi=dots_per_inch, facecolor="white", metadata=metadata)
    return content.getvalue()
