"""The model as a graph of boxes, as `keras.utils.plot_model(show_shapes=True)` draws it. Knows no HTTP."""

import subprocess

import keras

from models.charts import PlotFormat
from service.errors import GraphvizMissing

NO_GRAPHVIZ = (
    "drawing this needs Graphviz's program dot, which is not installed here (`apt-get install graphviz`); "
    "?style=blocks draws the model without it"
)
_DOTS_PER_INCH = 144


def diagram_source(model: keras.Model) -> str:
    """The graph in Graphviz's language. Must be called on the inference thread; drawing it need not be."""
    graph = keras.utils.model_to_dot(model, show_shapes=True, dpi=_DOTS_PER_INCH)
    source: str = graph.to_string()
    return source


def draw_diagram(source: str, form: PlotFormat) -> bytes:
    """Have Graphviz draw `source`. Raises GraphvizMissing where its program `dot` is not installed."""
    try:
        finished = subprocess.run(  # noqa: S603 - the source is made by Keras from the served model
            ["dot", f"-T{form}"],  # noqa: S607 - wherever the system keeps it
            input=source.encode(),
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise GraphvizMissing(NO_GRAPHVIZ) from error
    return finished.stdout
