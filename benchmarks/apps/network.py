"""What the compared servers share: encoded images in, answers out, by an engine of this service.

That is TensorFlow, or the light engine where the environment says ENGINE=light.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.decoding import open_image
from models.preprocessing import plain_pixels, prepared_pixels, scaled
from models.specification import Facts
from service.engines.base import EngineLoader
from service.model_files.snapshot import ModelFileLimits
from service.settings import ServiceSettings

MODEL = Path(__file__).parents[2] / "models" / "best-cnn-model.h5"
MAX_BATCH_SIZE = 64
_MAX_PIXELS = 25_000_000


class Network:
    """The shipped network, loaded and warm, with one thread, as the service runs it."""

    def __init__(self) -> None:
        self.engine = _loader().load(MODEL)

    def pixels(self, content: bytes) -> Any:
        """One encoded image as the network is to see it."""
        wanted = self.engine.card.input
        pixels = plain_pixels(content, wanted)
        return prepared_pixels(open_image(content, _MAX_PIXELS), wanted) if pixels is None else pixels

    def answers(self, images: Sequence[Any]) -> list[dict[str, Any]]:
        """For each of 1 to 64 images what `POST /predict` would say."""
        batch = scaled(np.stack(list(images)), self.engine.card.input)
        return [self._answer(row) for row in self.engine.infer(batch).scores.tolist()]

    def _answer(self, row: list[float]) -> dict[str, Any]:
        names = self.engine.card.class_names
        order = sorted(range(len(row)), key=row.__getitem__, reverse=True)
        classes = [{"label": names[index], "index": index, "probability": row[index]} for index in order]
        model = {"name": self.engine.card.name, "version": self.engine.version}
        return {**classes[0], "probabilities": classes, "model": model}


def _loader() -> EngineLoader:
    if os.environ.get("ENGINE") == "light":
        from service.engines.light.loader import LightLoader  # noqa: PLC0415 - where TensorFlow is not asked for

        return LightLoader(Facts(), ModelFileLimits(), ServiceSettings().converted_models)
    from service.engines.tensorflow import TensorFlowLoader  # noqa: PLC0415 - it takes seconds

    return TensorFlowLoader("cpu", 1, Facts(), MAX_BATCH_SIZE)
