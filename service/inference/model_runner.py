"""The model that answers now, and whether it is ready. Knows no HTTP and no Keras."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from models.card import ModelCard
from models.preprocessing import NetworkInput, Pixels, scaled
from service.inference.batcher import Batcher, BatchLimits
from service.metrics import PREDICTED, UNFAMILIAR

Value = TypeVar("Value")

# So familiar are 2 of 100 validation pictures at most.
_UNFAMILIAR = 0.02


class PictureAnswer(NamedTuple):
    """What the network says of one picture.

    `familiarity` is the share of validation pictures that are less typical of what the network was fitted to, from 0
    for what is nothing of the kind, or None where the model's card has nothing to tell it by.
    """

    probabilities: list[float]
    familiarity: float | None


class LoadedClassifier(Protocol):
    """What is needed of a classifier: see `service.engines.tensorflow.Classifier`."""

    card: ModelCard
    version: str
    device: str
    network: Any

    def answer(self, batch: NetworkInput) -> tuple[Any, Any]:
        """Probabilities (rows, classes) and familiarity (rows,) or None of pictures (rows, height, width, channels)."""


class LiveModel:
    """A classifier behind a batcher: all that runs the network runs on the batcher's one thread."""

    def __init__(self, classifier: LoadedClassifier, limits: BatchLimits, timeout_s: float) -> None:
        """Requests are to be answered within `timeout_s`. Must be made on a running event loop."""
        self._classifier = classifier
        self._timeout_s = timeout_s
        self._predicted = [PREDICTED.labels(classifier.card.name, name) for name in classifier.card.class_names]
        self._unfamiliar = UNFAMILIAR.labels(classifier.card.name)
        self._batcher = Batcher(self._answers, limits)

    @property
    def card(self) -> ModelCard:
        """The card of the model that answers."""
        return self._classifier.card

    @property
    def version(self) -> str:
        """The first 12 hex digits of the SHA-256 of the model's file."""
        return self._classifier.version

    @property
    def device(self) -> str:
        """What it runs on, by name."""
        return self._classifier.device

    @property
    def ready(self) -> bool:
        """Whether pictures are taken."""
        return self._batcher.open

    @property
    def backed_up(self) -> bool:
        """Whether a picture that comes now has to wait for longer than one call of the network."""
        return self._batcher.backed_up

    @property
    def busy_s(self) -> float:
        """For how many seconds the network has been at one call."""
        return self._batcher.busy_s

    def check_room(self, pictures: int = 1) -> None:
        """Find out before any work is put into them whether `pictures` would be taken. Raises Overloaded, NotReady."""
        self._batcher.check_room(pictures)

    def deadline(self) -> float:
        """The time, of `time.monotonic()`, until which a request that comes now is to be answered."""
        return time.monotonic() + self._timeout_s

    def predict(
        self, pictures: Sequence[Pixels | NetworkInput], deadline: float
    ) -> asyncio.Future[list[PictureAnswer]]:
        """For each picture, (height, width, channels) as the network is to see it, the answer.

        Those of uint8 are pixels and scaled here; those of float32 go to the network as they are. Cancel the future to
        give up.
        Raises Overloaded or NotReady at once; the future may raise DeadlineExceeded or BatchFailed.
        """
        return self._batcher.submit(pictures, deadline)

    async def inspect(self, function: Callable[[Any], Value]) -> Value:
        """What `function` says of the Keras network, called on the network's own thread. Raises as `predict` does."""
        return await self._batcher.run(lambda: function(self._classifier.network), self.deadline())

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, answer what was accepted within `timeout_s`, and end the thread."""
        await self._batcher.close(timeout_s)

    def _answers(self, pictures: list[Any]) -> list[PictureAnswer]:
        wanted = self._classifier.card.input
        if all(picture.dtype == np.uint8 for picture in pictures):
            batch = scaled(np.stack(pictures), wanted)  # all at once: faster, and as right
        else:
            batch = np.stack([scaled(row, wanted) if row.dtype == np.uint8 else row for row in pictures])
        probabilities, familiarity = self._classifier.answer(batch)
        rows = probabilities.tolist()
        shares = [None] * len(rows) if familiarity is None else familiarity.tolist()
        # Counted in lists: each step in NumPy would give the interpreter away and wait for the event loop to return it.
        for row, share in zip(rows, shares, strict=True):
            self._predicted[row.index(max(row))].inc()
            if share is not None and share < _UNFAMILIAR:
                self._unfamiliar.inc()
        return list(map(PictureAnswer, rows, shares))
