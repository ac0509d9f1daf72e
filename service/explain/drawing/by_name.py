"""The drawings that need no model, by the names under which they are asked for in the explaining process."""

from collections.abc import Callable, Mapping

from models.charts import confusion_matrix, learning_curves
from service.explain.drawing.blocks import draw_blocks

DRAWINGS: Mapping[str, Callable[..., bytes]] = {
    "blocks": draw_blocks,
    "learning_curves": learning_curves,
    "confusion_matrix": confusion_matrix,
}
