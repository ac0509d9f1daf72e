"""An engine without a model: it answers from an image's first pixels, and starts at once. For tests.

The file is copied and validated as for any other engine, so that all that can go wrong with one still does.
"""

from pathlib import Path

import numpy as np

from models.card import ModelCard, ModelFileError, read_card
from models.preprocessing import ModelInput
from models.specification import Finding
from service.engines.base import EngineOutput
from service.model_files.snapshot import ModelFileLimits, snapshot

# So that a black image has scores, too: all the same.
_TINY = 1e-6


class FakeEngine:
    """The brightest of the first values of an image, as many as there are classes, tells the class."""

    device = "nowhere"
    # There are no layers to look into.
    summary = None
    source = None

    def __init__(self, card: ModelCard, version: str) -> None:
        """All that it knows of a model."""
        self.card = card
        self.findings = (Finding("engine", "fake", "no model is run: an image's first pixels make its answer", True),)
        self.units = len(card.class_names)
        self.embedding_dimension: int | None = self.units
        self.version = version

    def infer(self, batch: ModelInput) -> EngineOutput:
        """The first values of each row of float32 (rows, height, width, channels), divided by their sum.

        The values themselves are the embeddings.
        """
        first = batch.reshape(len(batch), -1)[:, : len(self.card.class_names)]
        above = first + _TINY
        scores = (above / above.sum(axis=1, keepdims=True)).astype(np.float32)
        return EngineOutput(scores, None, embeddings=None if self.embedding_dimension is None else first)

    def warm(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class FakeLoader:
    """Reads of a model file its card and nothing else."""

    def __init__(self, limits: ModelFileLimits | None = None, name: str | None = None) -> None:
        """`limits` hold for the files; `name` is what a model is called of which nothing else says it."""
        self._limits, self._name = limits or ModelFileLimits(), name

    def load(self, path: Path, name: str | None = None) -> FakeEngine:
        """An engine with the card in the file at `path`. Raises ModelFileError, also for one without; StorageFailed."""
        with snapshot(path, self._limits) as copy:
            card = read_card(copy.path)
        if card is None:
            raise ModelFileError(
                f"{path} has no card, without which the fake engine knows no class; use another engine"
            )
        name = name or self._name
        return FakeEngine(card if name is None else card.model_copy(update={"name": name}), copy.version)

    def device_memory(self) -> int:
        """No device, no memory of it."""
        return 0
