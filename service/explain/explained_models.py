"""The explainer of each model version and its drawings, dropped with the version. Knows neither Keras nor HTTP."""

from collections.abc import Callable, Hashable
from functools import cached_property

from service.errors import NothingToExplain
from service.explain.drawing.renderer import Renderer
from service.explain.explainer import Explainer
from service.inference.model_runner import ModelRunner

MakeExplainer = Callable[[ModelRunner], Explainer]


class ExplainedModel:
    """What is asked about one version of a model, and those of its drawings that are few."""

    def __init__(self, runner: ModelRunner, make_explainer: MakeExplainer | None, renderer: Renderer) -> None:
        """Drawings are made by `renderer`, one at a time with those of all other models."""
        self._runner, self._make_explainer, self._renderer = runner, make_explainer, renderer
        self._drawn: dict[Hashable, bytes] = {}

    @cached_property
    def explainer(self) -> Explainer:
        """Made when it is first asked for. Raises NothingToExplain where the engine has no layers to look into."""
        if self._make_explainer is None:
            raise NothingToExplain("the engine that runs this model has no layers to look into; use another --engine")
        return self._make_explainer(self._runner)

    async def draw(self, draw: Callable[[], bytes], key: Hashable = None) -> bytes:
        """What `draw` draws on a thread. With a `key`, only the first time: from then on it is remembered.

        Raises Overloaded where too many wait.
        """
        if key is None:
            return await self._renderer.draw(draw)
        if key not in self._drawn:
            self._drawn[key] = await self._renderer.draw(lambda: self._drawn.get(key) or draw())
        return self._drawn[key]


class ExplainedModels:
    """All of them, each made when it is first asked for."""

    def __init__(self, make_explainer: MakeExplainer | None) -> None:
        """Without `make_explainer` there are drawings of what the card tells, and no explanations."""
        self._make_explainer = make_explainer
        self._renderer = Renderer()
        self._explained: dict[ModelRunner, ExplainedModel] = {}

    def of(self, runner: ModelRunner) -> ExplainedModel:
        """The one of the version that `runner` runs."""
        if runner not in self._explained:
            self._explained[runner] = ExplainedModel(runner, self._make_explainer, self._renderer)
            runner.closed.add_done_callback(lambda _: self._explained.pop(runner, None))
        return self._explained[runner]
