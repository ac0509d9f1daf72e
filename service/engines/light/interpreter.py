"""A converted model and the LiteRT interpreters that run it. Knows nothing of where it came from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from models.library_notes import library_notes_left_out
from models.preprocessing import ModelInput
from service.engines.base import EngineOutput, Floats

# Rows of one call. LiteRT makes a plan for each size. In larger batches it takes hardly less time for an image, but
# after each call the thread waits for the event loop to let go of Python.
BATCH_SIZES = (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
# Rows whose largest layer would take more than this go through the model in smaller parts.
_MOST_BYTES_OF_A_BATCH = 16 << 20


def most_rows(bytes_per_image: int) -> int:
    """Of one call of a model whose largest layer takes so much for an image."""
    return max(1, min(BATCH_SIZES[0], _MOST_BYTES_OF_A_BATCH // bytes_per_image))


class LightModel:
    """One converted model. All calls are from one thread at a time."""

    def __init__(self, path: Path, outputs: tuple[str, ...], threads: int, rows: int) -> None:
        """Of the file at `path`, whose `outputs` are the fields of EngineOutput in order; at most `rows` share a call.

        Raises ValueError or RuntimeError where LiteRT cannot run it.
        """
        self._path, self._outputs, self._threads = path, outputs, threads
        self.batch_sizes = tuple(size for size in BATCH_SIZES if size <= rows)
        with library_notes_left_out():
            self._interpreters = {size: self._planned(size) for size in self.batch_sizes}

    def infer(self, batch: ModelInput) -> EngineOutput:
        """Of float32 (rows, height, width, channels), of any number of rows; see EngineOutput."""
        parts = [self._call(batch[part]) for part in self._parts(len(batch))]
        columns = parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]
        return EngineOutput.of(dict(zip(self._outputs, columns, strict=True)))

    def _parts(self, rows: int) -> Iterator[slice]:
        """As few as fill up `rows`."""
        start = 0
        for size in self.batch_sizes:
            while rows - start >= size:
                yield slice(start, start + size)
                start += size

    def _call(self, batch: ModelInput) -> list[Floats]:
        interpreter, taken, given = self._interpreters[len(batch)]
        interpreter.set_tensor(taken, batch)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in given]

    def _planned(self, rows: int) -> tuple[Interpreter, int, list[int]]:
        interpreter = Interpreter(str(self._path), num_threads=self._threads)
        (taken,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(taken["index"], [rows, *taken["shape"][1:]])
        interpreter.allocate_tensors()
        return interpreter, taken["index"], [one["index"] for one in interpreter.get_output_details()]
