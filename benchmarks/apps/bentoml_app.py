"""BentoML in its documented form: a service with an API that batches adaptively."""

from typing import Any

import bentoml
from PIL.Image import Image

from benchmarks.apps.network import MAX_BATCH_SIZE, Network
from models.preprocessing import prepare


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Classify:
    def __init__(self) -> None:
        self.network = Network()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH_SIZE, max_latency_ms=1000)
    def predict(self, files: list[Image]) -> list[dict[str, Any]]:
        return self.network.answers([prepare(image, self.network.engine.card.input).pixels for image in files])
