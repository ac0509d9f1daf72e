"""The model that answers now: whether it is ready, and the one thread on which it runs. Knows no HTTP and no Keras."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from models.card import ModelCard
from models.picture import NetworkInput
from service.errors import NotReady

Result = TypeVar("Result")


class LoadedClassifier(Protocol):
    """What is needed of a classifier: see `service.inference.classifier.Classifier`."""

    card: ModelCard
    version: str
    device: str
    network: Any

    def predict(self, batch: NetworkInput) -> Any:
        """Probabilities (rows, classes) of pictures (rows, height, width, channels)."""


class LiveModel:
    """Runs a classifier on one thread of its own, so that the event loop never waits for it."""

    def __init__(self, classifier: LoadedClassifier) -> None:
        self._classifier = classifier
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="network")
        self.ready = True

    @property
    def card(self) -> ModelCard:
        """The card of the model that answers."""
        return self._classifier.card

    @property
    def version(self) -> str:
        """The first 12 hex digits of the SHA-256 of the model's file."""
        return self._classifier.version

    async def predict(self, batch: NetworkInput) -> Any:
        """Probabilities, float32 (rows, classes), of float32 pictures (rows, height, width, channels).

        Raises NotReady once the service is stopping.
        """
        return await self._on_worker(lambda: self._classifier.predict(batch))

    async def inspect(self, function: Callable[[Any], Result]) -> Result:
        """What `function` says of the Keras network, called on the network's own thread."""
        return await self._on_worker(lambda: function(self._classifier.network))

    def close(self) -> None:
        """Take nothing new, finish what was begun, and end the thread."""
        self.ready = False
        self._worker.shutdown(wait=True)

    async def _on_worker(self, call: Callable[[], Result]) -> Result:
        if not self.ready:
            raise NotReady("the service is stopping; send the request again to another one, or later")
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)
