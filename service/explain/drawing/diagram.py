"""A graph of boxes, drawn by Graphviz. Knows neither Keras nor HTTP."""

import subprocess

from models.plot_format import PlotFormat
from service.errors import GraphvizMissing

NO_GRAPHVIZ = (
    "drawing this needs Graphviz's program dot, which is not installed here (`apt-get install graphviz`); "
    "?style=blocks draws the model without it"
)

# Of an SVG, Graphviz enlarges what is drawn by this and not the part of it that is shown.
_DOTS_PER_INCH = {"png": 144, "svg": 72}


def draw_diagram(source: str, form: PlotFormat) -> bytes:
    """Have Graphviz draw `source`. Raises GraphvizMissing where its program `dot` is not installed."""
    try:
        finished = subprocess.run(  # noqa: S603 - the source is made by Keras, of the served model
            ["dot", f"-T{form}", f"-Gdpi={_DOTS_PER_INCH[form]}"],  # noqa: S607 - wherever the system keeps it
            input=source.encode(),
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise GraphvizMissing(NO_GRAPHVIZ) from error
    return finished.stdout
