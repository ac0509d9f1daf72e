"""Explains the Keras model that TensorFlow runs, on its own inference thread. Knows no HTTP."""

from functools import cached_property, partial

import keras
import numpy as np

from models.preprocessing import ModelInput, scaled
from service.engines.tensorflow import TensorFlowEngine
from service.explain.attribution import ScoredModel, attribute, scored_model
from service.explain.kernels import kernels_of
from service.explain.layers import layer_outputs
from service.explain.results import (
    Attribution,
    ConvolutionTrace,
    Floats,
    Kernels,
    Method,
    ModelSummary,
    PoolingTrace,
)
from service.explain.summary import diagram_source, summarize, summary_table
from service.explain.trace import trace
from service.inference.model_runner import ModelRunner


class KerasExplainer:
    """See `Explainer`. Nothing else may touch the model while the engine runs it: all goes to its thread."""

    def __init__(self, runner: ModelRunner) -> None:
        """Raises TypeError where the runner's engine is not TensorFlow."""
        if not isinstance(runner.engine, TensorFlowEngine):
            raise TypeError(f"a Keras model is explained, and {type(runner.engine).__name__} has none")
        self._conversion, wanted = runner.engine.conversion, runner.card.input
        self._black = scaled(np.zeros((wanted.height, wanted.width, wanted.channels), np.uint8), wanted)
        self._model: keras.Model = runner.engine.model
        self._name, self._version = runner.card.name, runner.version
        self._run = runner.run

    async def summary(self) -> ModelSummary:
        """Layers, shapes and parameters."""
        return await self._run(partial(summarize, self._model, self._name, self._version))

    async def summary_table(self) -> str:
        """The table that `model.summary()` prints."""
        return await self._run(partial(summary_table, self._model))

    async def diagram(self) -> str:
        """The graph that `keras.utils.plot_model(show_shapes=True)` draws, in Graphviz's language."""
        return await self._run(partial(diagram_source, self._model))

    async def kernels(self, layer: str | None, channel: int | None) -> Kernels:
        """Those of a convolution."""
        return await self._run(partial(kernels_of, self._model, layer, channel))

    async def feature_maps(self, image: ModelInput, layer: str | None) -> dict[str, Floats]:
        """By layer, what it makes of the image."""
        return await self._run(partial(layer_outputs, self._model, image, layer))

    async def attribution(self, image: ModelInput, method: Method, index: int | None) -> Attribution:
        """How much each pixel speaks for a class."""
        return await self._run(lambda: attribute(self._scored, image, self._black, method, index))

    async def trace(
        self, image: ModelInput, layer: str | None, channel: int, row: int, column: int
    ) -> ConvolutionTrace | PoolingTrace:
        """How one value of one map comes about."""
        return await self._run(partial(trace, self._model, image, layer, channel, row, column))

    @cached_property
    def _scored(self) -> ScoredModel:
        return scored_model(self._model, self._conversion)
