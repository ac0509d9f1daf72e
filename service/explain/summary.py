"""A Keras model's layers as the table and as the graph that Keras itself makes. Knows no HTTP."""

import os

import keras

_TABLE_WIDTH = 80
_DOTS_PER_INCH = 144


def summary_table(model: keras.Model) -> str:
    """The table that `model.summary()` prints."""
    # Keras cuts the table to the width of the terminal that the service was started in; rich reads this first.
    os.environ["COLUMNS"] = str(_TABLE_WIDTH)
    lines: list[str] = []
    model.summary(line_length=_TABLE_WIDTH, print_fn=lambda text, **_: lines.append(text))
    return "\n".join(lines) + "\n"


def diagram_source(model: keras.Model) -> str:
    """The graph that `keras.utils.plot_model(show_shapes=True)` draws, in Graphviz's language."""
    graph = keras.utils.model_to_dot(model, show_shapes=True, dpi=_DOTS_PER_INCH)
    source: str = graph.to_string()
    return source
