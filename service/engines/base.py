"""What an engine is: the thing that runs a model. One file beside this one for each; none is imported here."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from models.card import ModelCard, ModelFileError
from models.head import are_probabilities
from models.preprocessing import ModelInput
from models.specification import Finding
from service.engines.model_summary import ModelSummary
from service.model_files.source import ModelSource

Floats = npt.NDArray[np.float32]


class EngineOutput(NamedTuple):
    """What one forward pass gives: `scores` (rows, classes) are probabilities, 0 to 1.

    Each row has the sum 1 where one class is meant to be right; see `models.head`. `ood_scores` (rows,) say how typical
    each image is of the training data, as the share of validation images that are less so: 0 for what is nothing of the
    kind, 1 for the most typical; None where the card has nothing to tell it by. `outputs` (rows, units) is what the
    model itself gives; None where that is the same as `scores`. `embeddings` (rows, dimension) are the input of the
    dense layer that ends the model, the features that `ood_scores` are told from; None where no such layer does.
    """

    scores: Floats
    ood_scores: Floats | None
    outputs: Floats | None = None
    embeddings: Floats | None = None

    @classmethod
    def of(cls, named: Mapping[str, Floats]) -> Self:
        """Of its fields by name; those that are None are missing there."""
        return cls(named["scores"], named.get("ood_scores"), named.get("outputs"), named.get("embeddings"))


class Engine(Protocol):
    """One version of a model, loaded and warm. All methods are called from one thread at a time."""

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Where each part of the card comes from, and which of it is a guess."""

    @property
    def units(self) -> int:
        """How many values the model itself gives for an image."""

    @property
    def embedding_dimension(self) -> int | None:
        """How many values the embedding of an image has; None where there are no embeddings."""

    @property
    def version(self) -> str:
        """The first 12 hex digits of the SHA-256 of the model's file."""

    @property
    def device(self) -> str:
        """What it runs on, by name."""

    @property
    def summary(self) -> ModelSummary | None:
        """Its layers and parameters; None where there are none to tell of."""

    @property
    def source(self) -> ModelSource | None:
        """The file that it was loaded from, to be loaded again by what explains it; None where nothing can be."""

    def infer(self, batch: ModelInput) -> EngineOutput:
        """One forward pass of float32 (rows, height, width, channels), of 1 to `max_batch_size` rows."""

    def warm(self) -> None:
        """Make the first calls, which take longer. Raises ModelFileError where the model gives no probabilities."""

    def close(self) -> None:
        """Let go of what the model holds. Nothing is called after it."""


class EngineLoader(Protocol):
    """One kind of engine, set up for this process."""

    def load(self, path: Path, name: str | None = None) -> Engine:
        """The model in the file at `path`, warm; under `name`, or under the name that its file gives it.

        Raises ModelFileError, or StorageFailed where no temporary file can be written.
        """

    def device_memory(self) -> int:
        """Bytes of the device's own memory that are in use; 0 where it has none."""


def check_probabilities(scores: Floats, card: ModelCard, *, sums_to_one: bool) -> None:
    """Raise ModelFileError where what a model answers, (rows, classes), is not what its head says."""
    if not are_probabilities(scores, sums_to_one=sums_to_one):
        wanted = "that sum to 1" if sums_to_one else "from 0 to 1"
        raise ModelFileError(
            f"{card.name} does not answer with probabilities {wanted}, as its head {card.head} says; name another "
            "with --head, and see that its weights are numbers"
        )


class DeviceError(Exception):
    """The device that was asked for is not there. The text says what to do."""
