"""What can be asked about a model and its answers: named methods, plain arguments, plain results. Knows no Keras.

Whatever goes in and comes out can be sent to another process, so that an explainer may live in one.
"""

from typing import Protocol

from models.preprocessing import ModelInput
from service.explain.results import (
    Attribution,
    ConvolutionTrace,
    Floats,
    Kernels,
    Method,
    ModelSummary,
    PoolingTrace,
)


class Explainer(Protocol):
    """Explains one version of a model. An image is float32 (height, width, channels), scaled.

    Every method raises Overloaded, NotReady or DeadlineExceeded where it does not come to it, and NotInModel where the
    model has nothing of the kind that is asked for.
    """

    async def summary(self) -> ModelSummary:
        """Layers, shapes and parameters."""

    async def summary_table(self) -> str:
        """The table that `model.summary()` prints."""

    async def diagram(self) -> str:
        """The graph that `keras.utils.plot_model(show_shapes=True)` draws, in Graphviz's language."""

    async def kernels(self, layer: str | None, channel: int | None) -> Kernels:
        """Those of the convolution `layer`, or of the first one; of all input channels, or of `channel` alone."""

    async def feature_maps(self, image: ModelInput, layer: str | None) -> dict[str, Floats]:
        """By layer, what it makes of the image: maps (height, width, channels) or values (units,).

        Of `layer`, or of every layer that makes something new.
        """

    async def attribution(self, image: ModelInput, method: Method, index: int | None) -> Attribution:
        """How much each pixel speaks for class `index`, or for the model's answer."""

    async def trace(
        self, image: ModelInput, layer: str | None, channel: int, row: int, column: int
    ) -> ConvolutionTrace | PoolingTrace:
        """How the value at `row` and `column` of map `channel` of a convolution or pooling comes about."""
