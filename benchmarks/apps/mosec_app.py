"""mosec in its documented form: the raw body, decoded in a worker that batches dynamically."""

from typing import Any

from mosec import Server, Worker
from pydantic_core import to_json

from benchmarks.apps.network import MAX_BATCH_SIZE, Network


class Classify(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.network = Network()

    def deserialize(self, data: bytes) -> Any:
        return self.network.pixels(data)

    def serialize(self, data: Any) -> bytes:
        return to_json(data)

    def forward(self, data: list[Any]) -> list[Any]:
        return self.network.answers(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classify, max_batch_size=MAX_BATCH_SIZE, max_wait_time=1)
    server.run()
