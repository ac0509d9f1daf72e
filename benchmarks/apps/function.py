"""No server: prints how many images a second the engine does alone, at batches of 64."""

import time

import numpy as np

from benchmarks.apps.network import MAX_BATCH_SIZE, Network

_SECONDS = 5


def main() -> None:
    network = Network()
    batch = np.random.default_rng(0).random((MAX_BATCH_SIZE, 28, 28, 1), np.float32)
    calls = 0
    start = time.monotonic()
    while (passed := time.monotonic() - start) < _SECONDS:
        network.engine.infer(batch)
        calls += 1
    print(calls * MAX_BATCH_SIZE / passed)


if __name__ == "__main__":
    main()
