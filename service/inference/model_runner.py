"""The model that answers now, and whether it is ready. Knows no HTTP and no Keras."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from models.card import ModelCard
from models.preprocessing import ModelInput, Pixels, scaled
from service.inference.batcher import Batcher, BatchLimits
from service.metrics import OUT_OF_DISTRIBUTION, PREDICTED

Value = TypeVar("Value")

# So familiar are 2 of 100 validation images at most.
_UNFAMILIAR = 0.02


class ImageScores(NamedTuple):
    """What the model says of one image.

    `familiarity` is the share of validation images that are less typical of what the model was fitted to, from 0
    for what is nothing of the kind, or None where the model's card has nothing to tell it by.
    """

    probabilities: list[float]
    familiarity: float | None


class Engine(Protocol):
    """What is needed of a classifier: see `service.engines.tensorflow.TensorFlowEngine`."""

    card: ModelCard
    version: str
    device: str
    model: Any

    def answer(self, batch: ModelInput) -> tuple[Any, Any]:
        """Probabilities (rows, classes) and familiarity (rows,) or None of images (rows, height, width, channels)."""


class ModelRunner:
    """A classifier behind a batcher: all that runs the model runs on the batcher's one thread."""

    def __init__(self, classifier: Engine, limits: BatchLimits, timeout_s: float) -> None:
        """Requests are to be answered within `timeout_s`. Must be made on a running event loop."""
        self._classifier = classifier
        self._timeout_s = timeout_s
        self._predicted = [PREDICTED.labels(classifier.card.name, name) for name in classifier.card.class_names]
        self._unfamiliar = OUT_OF_DISTRIBUTION.labels(classifier.card.name)
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
        """Whether images are taken."""
        return self._batcher.open

    @property
    def backed_up(self) -> bool:
        """Whether an image that comes now has to wait for longer than one forward pass."""
        return self._batcher.backed_up

    @property
    def busy_s(self) -> float:
        """For how many seconds the model has been at one call."""
        return self._batcher.busy_s

    def ensure_capacity(self, images: int = 1) -> None:
        """Find out before any work is put into them whether `images` would be taken. Raises Overloaded, NotReady."""
        self._batcher.ensure_capacity(images)

    def deadline(self) -> float:
        """The time, of `time.monotonic()`, until which a request that comes now is to be answered."""
        return time.monotonic() + self._timeout_s

    def predict(self, images: Sequence[Pixels | ModelInput], deadline: float) -> asyncio.Future[list[ImageScores]]:
        """For each image, (height, width, channels) as the model is to see it, the answer.

        Those of uint8 are pixels and scaled here; those of float32 go to the model as they are. Cancel the future to
        give up.
        Raises Overloaded or NotReady at once; the future may raise DeadlineExceeded or BatchFailed.
        """
        return self._batcher.submit(images, deadline)

    async def inspect(self, function: Callable[[Any], Value]) -> Value:
        """What `function` says of the Keras model, called on the inference thread. Raises as `predict` does."""
        return await self._batcher.run(lambda: function(self._classifier.model), self.deadline())

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, answer what was accepted within `timeout_s`, and end the thread."""
        await self._batcher.close(timeout_s)

    def _answers(self, images: list[Any]) -> list[ImageScores]:
        wanted = self._classifier.card.input
        if all(image.dtype == np.uint8 for image in images):
            batch = scaled(np.stack(images), wanted)  # all at once: faster, and as right
        else:
            batch = np.stack([scaled(row, wanted) if row.dtype == np.uint8 else row for row in images])
        probabilities, familiarity = self._classifier.answer(batch)
        rows = probabilities.tolist()
        shares = [None] * len(rows) if familiarity is None else familiarity.tolist()
        # Counted in lists: each step in NumPy would give the interpreter away and wait for the event loop to return it.
        for row, share in zip(rows, shares, strict=True):
            self._predicted[row.index(max(row))].inc()
            if share is not None and share < _UNFAMILIAR:
                self._unfamiliar.inc()
        return list(map(ImageScores, rows, shares))
