"""The service's fake engine, for tests that look at what reached it."""

import threading
from typing import Any

import numpy as np

from models.card import ImageInput, ModelCard
from models.preprocessing import ModelInput
from service.engines import fake
from service.engines.base import EngineOutput


class FakeEngine(fake.FakeEngine):
    """Three classes, told from the first three values of a 4×4 grey image: the brightest one is the answer."""

    def __init__(self, version: str = "0123456789ab") -> None:
        super().__init__(self.card_for(4, 4, 1), version)
        self.ood_score: float | None = None
        self.batches: list[ModelInput] = []

    @staticmethod
    def card_for(height: int, width: int, channels: int) -> ModelCard:
        wanted = ImageInput(height=height, width=width, channels=channels, scale=1 / 255)
        return ModelCard(name="fake", class_names=("cat", "dog", "owl"), input=wanted)

    def infer(self, batch: ModelInput) -> EngineOutput:
        self.batches.append(batch)
        ood_scores = None if self.ood_score is None else np.full(len(batch), self.ood_score, np.float32)
        return super().infer(batch)._replace(ood_scores=ood_scores)


class Hold:
    """Keeps an engine at its next batch, which is not one of its `batches`, until `go_on` is set."""

    def __init__(self, engine: FakeEngine) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

        def infer(batch: ModelInput) -> EngineOutput:
            del engine.infer  # type: ignore[method-assign]
            self.begun.set()
            self.go_on.wait()
            return fake.FakeEngine.infer(engine, batch)

        engine.infer = infer  # type: ignore[method-assign]


def image_for(label: str) -> Any:
    """The 4×4 pixels that the fake answers with `label`."""
    pixels = np.zeros((4, 4), np.uint8)
    pixels[0, ("cat", "dog", "owl").index(label)] = 255
    return pixels
