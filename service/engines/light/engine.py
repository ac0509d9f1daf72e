"""One converted model as an engine. Knows no HTTP, no queue and no TensorFlow."""

from pathlib import Path

import numpy as np

from models.preprocessing import ModelInput
from service.engines.base import EngineOutput, check_probabilities
from service.engines.light.converted import ConvertedModel
from service.engines.light.interpreter import LightModel
from service.model_files.source import ModelSource


class LightEngine:
    """See `Engine`."""

    device = "CPU"

    def __init__(self, converted: ConvertedModel, path: Path, version: str, threads: int, source: ModelSource) -> None:
        """Runs the file for LiteRT at `path` on `threads` threads; `source` is the model file that it was made from."""
        self.source, self.version = source, version
        self.card, self.findings = converted.card, converted.findings
        self.summary, self.units = converted.summary, converted.units
        self.embedding_dimension = converted.embedding_dimension
        self._sums_to_one = converted.sums_to_one
        self._model = LightModel(path, converted.outputs, threads, converted.most_rows)

    def infer(self, batch: ModelInput) -> EngineOutput:
        """One forward pass, or several one after the other, of float32 (rows, height, width, channels)."""
        return self._model.infer(batch)

    def warm(self) -> None:
        """Call the model once with each batch size. Raises ModelFileError where it gives no probabilities."""
        taken = self.card.input
        for size in self._model.batch_sizes:
            blank = np.zeros((size, taken.height, taken.width, taken.channels), np.float32)
            check_probabilities(self.infer(blank).scores, self.card, sums_to_one=self._sums_to_one)

    def close(self) -> None:
        """Let go of the model's file. LiteRT's memory goes with the last reference to this."""
        self.source.close()
