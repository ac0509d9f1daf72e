"""Explains one model by calls to the explaining process. Knows neither Keras nor HTTP."""

from typing import Any

from models.plot_format import PlotFormat
from models.preprocessing import ModelInput, PreparedImage
from service.engines.base import Engine
from service.explain.process.queue import ExplanationQueue
from service.explain.results import (
    Attribution,
    ConvolutionTrace,
    Floats,
    Kernels,
    KernelScale,
    Method,
    PoolingTrace,
)


class RemoteExplainer:
    """See `Explainer`; what is done there is in `service.explain.keras_explainer`, under the same names."""

    def __init__(self, engine: Engine, queue: ExplanationQueue) -> None:
        """Explains the model that `engine` runs, from its file, behind `queue`."""
        self._engine, self._queue = engine, queue

    async def summary_table(self) -> str:
        """The table that `model.summary()` prints."""
        return str(await self._call("summary_table"))

    async def draw_diagram(self, form: PlotFormat) -> bytes:
        """The graph of its layers."""
        return bytes(await self._call("draw_diagram", form))

    async def kernels(self, layer: str | None, channel: int | None) -> Kernels:
        """Those of a convolution."""
        found: Kernels = await self._call("kernels", layer, channel)
        return found

    async def draw_kernels(self, layer: str | None, channel: int | None, scale: KernelScale, form: PlotFormat) -> bytes:
        """The same as a grid."""
        return bytes(await self._call("draw_kernels", layer, channel, scale, form))

    async def feature_maps(self, image: ModelInput, layer: str | None, most_values: int) -> bytes:
        """By layer, what it makes of the image, as JSON."""
        return bytes(await self._call("feature_maps", image, layer, most_values))

    async def layer_output(self, image: ModelInput, layer: str, most_values: int) -> Floats:
        """What the layer makes of the image."""
        found: Floats = await self._call("layer_output", image, layer, most_values)
        return found

    async def draw_feature_maps(self, image: ModelInput, layer: str | None, strongest: bool, form: PlotFormat) -> bytes:
        """The same as a section for each layer."""
        return bytes(await self._call("draw_feature_maps", image, layer, strongest, form))

    async def attribution(self, image: ModelInput, method: Method, index: int | None) -> Attribution:
        """How much each pixel speaks for a class."""
        found: Attribution = await self._call("attribution", image, method, index)
        return found

    async def draw_attribution(
        self, prepared: PreparedImage, image: ModelInput, method: Method, index: int | None, form: PlotFormat
    ) -> bytes:
        """The same over the image."""
        return bytes(await self._call("draw_attribution", prepared, image, method, index, form))

    async def trace(
        self, image: ModelInput, layer: str | None, channel: int, row: int, column: int
    ) -> ConvolutionTrace | PoolingTrace:
        """How one value of one map comes about."""
        found: ConvolutionTrace | PoolingTrace = await self._call("trace", image, layer, channel, row, column)
        return found

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await self._queue.call(self._engine, method, *arguments)
