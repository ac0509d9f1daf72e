"""Explains one Keras model, in the explaining process: the methods of `Explainer`, each answered at once."""

from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from models.card import ModelCard, ModelFileError
from models.head import Conversion, conversion_of
from models.plot_format import PlotFormat
from models.preprocessing import ModelInput, PreparedImage, scaled
from models.specification import Facts
from service.errors import NotInModel
from service.explain.attribution import ScoredModel, attribute, scored_model
from service.explain.drawing.diagram import draw_diagram
from service.explain.drawing.feature_maps import draw_feature_maps
from service.explain.drawing.kernel_plot import draw_kernels
from service.explain.drawing.overlay import draw_attribution
from service.explain.kernels import kernels_of
from service.explain.layers import layer_outputs
from service.explain.numbers import layers_as_json
from service.explain.results import (
    Attribution,
    ConvolutionTrace,
    Floats,
    Kernels,
    KernelScale,
    Method,
    PoolingTrace,
)
from service.explain.summary import diagram_source, summary_table
from service.explain.trace import trace
from service.model_files.loading import load_model
from service.model_files.snapshot import ModelFileLimits


class KerasExplainer:
    """See `Explainer`: of the model `model`, whose card is `card`."""

    def __init__(self, model: keras.Model, conversion: Conversion, card: ModelCard) -> None:
        """`conversion` makes probabilities of the model's own output."""
        self._model, self._conversion, self._names = model, conversion, card.class_names
        wanted = card.input
        self._black = scaled(np.zeros((wanted.height, wanted.width, wanted.channels), np.uint8), wanted)

    def summary_table(self) -> str:
        """The table that `model.summary()` prints."""
        return summary_table(self._model)

    def draw_diagram(self, form: PlotFormat) -> bytes:
        """The graph of its layers."""
        return draw_diagram(diagram_source(self._model), form)

    def kernels(self, layer: str | None, channel: int | None) -> Kernels:
        """Those of a convolution."""
        return kernels_of(self._model, layer, channel)

    def draw_kernels(self, layer: str | None, channel: int | None, scale: KernelScale, form: PlotFormat) -> bytes:
        """The same as a grid, above the histogram of the layer's weights."""
        return draw_kernels(self.kernels(layer, channel), scale, form)

    def feature_maps(self, image: ModelInput, layer: str | None, most_values: int) -> bytes:
        """By layer, what it makes of the image, as JSON."""
        return layers_as_json(self._outputs(image, layer, most_values))

    def layer_output(self, image: ModelInput, layer: str, most_values: int) -> Floats:
        """What the layer makes of the image."""
        return self._outputs(image, layer, most_values)[layer]

    def draw_feature_maps(self, image: ModelInput, layer: str | None, strongest: bool, form: PlotFormat) -> bytes:
        """The same as a section for each layer."""
        return draw_feature_maps(layer_outputs(self._model, image, layer), form, strongest=strongest)

    def attribution(self, image: ModelInput, method: Method, index: int | None) -> Attribution:
        """How much each pixel speaks for a class."""
        return attribute(self._scored, image, self._black, method, index)

    def draw_attribution(
        self, prepared: PreparedImage, image: ModelInput, method: Method, index: int | None, form: PlotFormat
    ) -> bytes:
        """The same over the image."""
        found = self.attribution(image, method, index)
        title = f"{self._names[found.class_index]}, {_in_per_cent(found.probability)}: {method}"
        return draw_attribution(prepared, found.values, title, form)

    def trace(
        self, image: ModelInput, layer: str | None, channel: int, row: int, column: int
    ) -> ConvolutionTrace | PoolingTrace:
        """How one value of one map comes about."""
        return trace(self._model, image, layer, channel, row, column)

    def _outputs(self, image: ModelInput, layer: str | None, most_values: int) -> dict[str, Floats]:
        outputs = layer_outputs(self._model, image, layer)
        count = sum(values.size for values in outputs.values())
        if count > most_values:
            raise NotInModel(
                f"layer: the maps have {count:,} values together, and at most {most_values:,} are sent as numbers; "
                "name a smaller layer, or ask for an image"
            )
        return outputs

    @cached_property
    def _scored(self) -> ScoredModel:
        return scored_model(self._model, self._conversion)


def _in_per_cent(probability: float) -> str:
    """With one decimal; what is only nearly certain or nearly ruled out is not written as if it were."""
    if 0 < probability < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= probability < 1 else f"{probability:.1%}"


def load_explainer(path: Path, card: ModelCard, version: str, limits: ModelFileLimits) -> KerasExplainer:
    """What explains the model in the file at `path`, understood as `card` says. Raises ModelFileError, StorageFailed.

    Also where the file is not of that `version`.
    """
    # All that is known of it stands in the card, also what was only assumed: nothing is to be assumed otherwise here.
    options = Facts.of_card(card.model_copy(update={"assumed": ()}))
    model, own_card, _, own_version, activation, units, _ = load_model(path, options, limits)
    if (own_version, own_card.input) != (version, card.input):
        raise ModelFileError("it is another model by now")
    return KerasExplainer(model, conversion_of(card.head, activation, units), card)


def use_one_thread_of_the_cpu() -> None:
    """To be called before TensorFlow runs anything: the other cores, and a GPU, are left to the predictions."""
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
