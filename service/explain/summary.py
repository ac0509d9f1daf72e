"""A Keras model's layers as the table and as the graph that Keras itself makes. Knows no HTTP."""

import html
import os

import keras

from service.engines.keras_summary import summarize_layer
from service.explain.layer_words import reading

_TABLE_WIDTH = 80
_ROW = '<tr><td bgcolor="white" colspan="2"><font point-size="14">{}</font></td></tr>'  # as Keras's own


def summary_table(model: keras.Model) -> str:
    """The table that `model.summary()` prints."""
    # Keras cuts the table to the width of the terminal that the service was started in; rich reads this first.
    os.environ["COLUMNS"] = str(_TABLE_WIDTH)
    lines: list[str] = []
    model.summary(line_length=_TABLE_WIDTH, print_fn=lambda text, **_: lines.append(text))
    return "\n".join(lines) + "\n"


def diagram_source(model: keras.Model) -> str:
    """The graph that `keras.utils.plot_model(show_shapes=True)` draws, in Graphviz's language.

    With one row more in the box of each convolution and pooling: its kernel or window, its stride and its padding.
    """
    graph = keras.utils.model_to_dot(model, show_shapes=True)
    graph.obj_dict["attributes"].pop("dpi", None)  # how fine it is, who draws it knows
    for layer in model.layers:
        words = () if isinstance(layer, keras.Model) else reading(summarize_layer(layer.name, layer))
        for node in graph.get_node(str(id(layer))) if words else ():
            row = _ROW.format(html.escape(", ".join(words)))
            node.set("label", node.get("label").replace("</table>", f"{row}</table>"))
    source: str = graph.to_string()
    return source
