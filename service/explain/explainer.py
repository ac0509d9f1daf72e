"""What can be asked about a model and its answers: named methods, plain arguments, plain results. Knows no Keras.

Whatever goes in and comes out can be sent to another process, where explanations are made. What `draw_` begins gives
the same as an image.
"""

from typing import Protocol

from models.plot_format import PlotFormat
from models.preprocessing import ModelInput, PreparedImage
from service.explain.results import (
    Attribution,
    ConvolutionTrace,
    Floats,
    Kernels,
    KernelScale,
    Method,
    PoolingTrace,
)


class Explainer(Protocol):
    """Explains one version of a model. An image is float32 (height, width, channels), scaled.

    Every method raises Overloaded, NotReady or DeadlineExceeded where it does not come to it, NotInModel where the
    model has nothing of the kind that is asked for, and NothingToExplain where the model cannot be explained.
    """

    async def summary_table(self) -> str:
        """The table that `model.summary()` prints."""

    async def draw_diagram(self, form: PlotFormat) -> bytes:
        """What `keras.utils.plot_model(show_shapes=True)` draws. Raises GraphvizMissing."""

    async def kernels(self, layer: str | None, channel: int | None) -> Kernels:
        """Those of the convolution `layer`, or of the first one; of all input channels, or of `channel` alone."""

    async def draw_kernels(self, layer: str | None, channel: int | None, scale: KernelScale, form: PlotFormat) -> bytes:
        """The same as a grid, above the histogram of the layer's weights."""

    async def feature_maps(self, image: ModelInput, layer: str | None, most_values: int) -> bytes:
        """What `layer`, or every layer that makes something new, makes of the image, as JSON: see `layers_as_json`.

        Raises NotInModel for more than `most_values` together. They are so many that writing them down takes as long as
        hundreds of predictions.
        """

    async def layer_output(self, image: ModelInput, layer: str, most_values: int) -> Floats:
        """What `layer` makes of the image, as Keras has it: float32 (height, width, channels) or (units,)."""

    async def draw_feature_maps(self, image: ModelInput, layer: str | None, strongest: bool, form: PlotFormat) -> bytes:
        """The same as a section for each layer; in the model's order, or the `strongest` first."""

    async def attribution(self, image: ModelInput, method: Method, index: int | None) -> Attribution:
        """How much each pixel speaks for class `index`, or for the model's answer."""

    async def draw_attribution(
        self, prepared: PreparedImage, image: ModelInput, method: Method, index: int | None, form: PlotFormat
    ) -> bytes:
        """The same in colours, over the image as a person sees it and as the model does."""

    async def trace(
        self, image: ModelInput, layer: str | None, channel: int, row: int, column: int
    ) -> ConvolutionTrace | PoolingTrace:
        """How the value at `row` and `column` of map `channel` of a convolution or pooling comes about."""
