"""One version of a model behind its queue: all that touches it runs on its inference thread. Knows no engine."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models.card import ModelCard
from models.preprocessing import ModelInput, Pixels, scaled
from service.engines.base import Engine, Floats
from service.inference.batcher import Batcher, BatchLimits
from service.metrics import MODELS

# Of validation images, 2 in 100 have so low an OOD score.
_OUT_OF_DISTRIBUTION = 0.02


class ImageScores(NamedTuple):
    """What the model says of one image: each class's probability, how typical the image is, its output, the embedding.

    `ood_score` is the share of validation images that are less typical of the training data: from 0 for what is nothing
    of the kind, or None where the model's card has nothing to tell it by. `outputs` are the values that the model's
    last layer gives, which are the probabilities or what they are made of. `embedding` is float32 (dimension,), or None
    where the model has none.
    """

    probabilities: list[float]
    ood_score: float | None
    outputs: list[float]
    embedding: Floats | None = None


class ModelRunner:
    """An engine behind a batcher. All methods belong to the event loop that it was made on."""

    def __init__(self, engine: Engine, limits: BatchLimits, timeout_s: float, number: int | None = None) -> None:
        """Requests are to be answered within `timeout_s`. `number` is that of its version folder, if it has one."""
        self.engine, self.number = engine, number
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once it has been closed: whoever keeps something for this version drops it then."""
        self._timeout_s = timeout_s
        self._predicted, self._out_of_distribution, self._confidence = MODELS.use(self.card.name, self.card.class_names)
        self._batcher = Batcher(self._infer, limits)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self.engine.card

    @property
    def version(self) -> str:
        """The first 12 hex digits of the SHA-256 of the model's file."""
        return self.engine.version

    @property
    def served_version(self) -> str:
        """The version as it is asked for: the number of its folder, or else what `version` is."""
        return self.version if self.number is None else str(self.number)

    @property
    def device(self) -> str:
        """What it runs on, by name."""
        return self.engine.device

    @property
    def embedding_dimension(self) -> int | None:
        """How many values the embedding of an image has; None where the model has no embeddings."""
        return self.engine.embedding_dimension

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
        """For how many seconds the inference thread has been at its present call."""
        return self._batcher.busy_s

    def ensure_capacity(self, images: int = 1) -> None:
        """Raises Overloaded or NotReady where `images` would not be taken now, before any work is put into them."""
        self._batcher.ensure_capacity(images)

    def deadline(self) -> float:
        """The time, of `time.monotonic()`, until which a request that comes now is to be answered."""
        return time.monotonic() + self._timeout_s

    def submit(self, images: Sequence[Pixels | ModelInput], deadline: float) -> asyncio.Future[list[ImageScores]]:
        """The scores of each image, (height, width, channels) as the model is to see it.

        Those of uint8 are pixels and scaled here; those of float32 go to the model as they are. Cancel the future to
        give up. Raises Overloaded or NotReady at once; the future may raise DeadlineExceeded or InferenceFailed.
        """
        return self._batcher.submit(images, deadline)

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, answer what was accepted within `timeout_s`, and end the inference thread."""
        await self._batcher.close(timeout_s)
        if not self.closed.done():
            self.closed.set_result(None)
            MODELS.leave(self.card.name, self.card.class_names)
            self.engine.close()

    def _infer(self, images: list[Any]) -> list[ImageScores]:
        wanted = self.card.input
        if all(image.dtype == np.uint8 for image in images):
            batch = scaled(np.stack(images), wanted)  # all at once: faster, and as right
        else:
            batch = np.stack([scaled(row, wanted) if row.dtype == np.uint8 else row for row in images])
        scores, ood_scores, outputs, embeddings = self.engine.infer(batch)
        rows: list[list[float]] = scores.tolist()
        shares = [None] * len(rows) if ood_scores is None else ood_scores.tolist()
        # Counted in lists: each step in NumPy would give the interpreter away and wait for the event loop to return it.
        multi_label = self.card.head == "multi-label"
        for row, share in zip(rows, shares, strict=True):
            highest = max(row)
            if math.isfinite(highest):  # one that is not, of an image of floats that overflow, would spoil the sum
                self._confidence.observe(highest)
            for index in labels_of(row, self.card) if multi_label else (row.index(highest),):
                self._predicted[index].inc()
            if share is not None and share < _OUT_OF_DISTRIBUTION:
                self._out_of_distribution.inc()
        vectors = [None] * len(rows) if embeddings is None else embeddings
        return list(map(ImageScores, rows, shares, rows if outputs is None else outputs.tolist(), vectors))


def labels_of(probabilities: list[float], card: ModelCard) -> list[int]:
    """Of a multi-label model, the classes whose probability reaches the card's threshold, by number."""
    return [index for index, value in enumerate(probabilities) if value >= card.label_threshold]
