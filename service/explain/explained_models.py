"""What explains each model version, and its few drawings, dropped with the version. Knows neither Keras nor HTTP."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from functools import cached_property

from service.engines.model_summary import ModelSummary
from service.errors import NothingToExplain
from service.explain.explainer import Explainer
from service.explain.process.queue import ExplanationQueue
from service.explain.remote_explainer import RemoteExplainer
from service.inference.model_runner import ModelRunner

_NO_LAYERS = "the engine that runs this model has no layers to look into; use another --engine"


class ExplainedModel:
    """What is asked about one version of a model, and those of its drawings that are few."""

    def __init__(self, runner: ModelRunner, queue: ExplanationQueue) -> None:
        """Everything that takes long is done behind `queue`, together with that of all other models."""
        self._runner, self._queue = runner, queue
        self._drawn: dict[Hashable, bytes] = {}
        self._drawing: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def summary(self) -> ModelSummary:
        """Layers, shapes and parameters. Raises NothingToExplain where the engine has no layers to look into."""
        if self._runner.engine.summary is None:
            raise NothingToExplain(_NO_LAYERS)
        return self._runner.engine.summary

    @cached_property
    def explainer(self) -> Explainer:
        """Made when it is first asked for. Raises NothingToExplain where the engine has no layers to look into."""
        if self._runner.engine.source is None:
            raise NothingToExplain(_NO_LAYERS)
        return RemoteExplainer(self._runner.engine, self._queue)

    def warm(self) -> None:
        """Somebody is about to ask for explanations."""
        if self._runner.engine.source is not None:
            self._queue.warm(self._runner.engine)

    async def draw(self, drawing: str, *arguments: object) -> bytes:
        """The drawing of that name, of those that need no model: see `drawing.by_name`. Raises as `Explainer` does."""
        drawn: bytes = await self._queue.call(None, drawing, *arguments)
        return drawn

    async def once(self, key: Hashable, draw: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `draw` returns, made only the first time and from then on remembered; raises what it raises."""
        async with self._drawing[key]:
            if key not in self._drawn:
                self._drawn[key] = await draw()
            return self._drawn[key]


class ExplainedModels:
    """All of them, each made when it is first asked for."""

    def __init__(self, queue: ExplanationQueue) -> None:
        """They are explained behind `queue`."""
        self._queue = queue
        self._explained: dict[ModelRunner, ExplainedModel] = {}

    def of(self, runner: ModelRunner) -> ExplainedModel:
        """The one of the version that `runner` runs."""
        if runner not in self._explained:
            self._explained[runner] = ExplainedModel(runner, self._queue)
            runner.closed.add_done_callback(lambda _: self._drop(runner))
        return self._explained[runner]

    def _drop(self, runner: ModelRunner) -> None:
        self._explained.pop(runner, None)
        self._queue.drop(runner.engine)

    async def close(self) -> None:
        """Give up on what is not explained yet, and end the process that explains."""
        await self._queue.close()
