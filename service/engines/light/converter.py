"""Converts a model file for the light engine, and compares what comes of it with Keras. Knows no HTTP.

A program of its own: its process's memory and time are bounded, and it alone needs TensorFlow. It reads a
`ConversionRequest` from its standard input, and leaves a `ConversionResult` in the folder that this names.
"""

import os
import signal
import sys
import threading
from collections import defaultdict
from contextlib import suppress
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow.types.experimental import ConcreteFunction

from models.card import ImageInput, ModelFileError
from models.file_version import sha256_of
from models.head import conversion_of
from models.preprocessing import ModelInput, prepare, scaled
from models.reasons import first_line
from service.engines.base import EngineOutput, Floats, check_probabilities
from service.engines.keras_summary import summarize
from service.engines.light.converted import (
    MODEL,
    NO_STORAGE,
    REFUSED,
    ConversionRequest,
    ConversionResult,
    ConvertedModel,
)
from service.engines.light.interpreter import LightModel, most_rows
from service.engines.tensorflow import embedding_dimension, forward_pass_of
from service.errors import StorageFailed, writing_temporary_files
from service.model_files.loading import load_model
from service.model_files.snapshot import ModelFileLimits

# A network of 1,000 layers takes a minute or two; what takes much longer is none for a service.
CPU_SECONDS, WALL_SECONDS = 600, 900
# Beside what the libraries take; and the file is in memory as Keras has it, as a graph, and converted.
_MEMORY_BYTES, _MEMORY_OF_EACH_BYTE = 4 << 30, 12
MOST_DIFFERENCE = 1e-4
# The OOD score is a rank among validation images; the model's own output and its embeddings may have any size.
_MOST_OOD_DIFFERENCE, _MOST_RELATIVE_DIFFERENCE = 1e-3, 1e-4
_RANDOM_IMAGES = 6


class NotConvertible(Exception):
    """LiteRT cannot run the model, or not as Keras does. The text says why."""


def convert(request: ConversionRequest) -> ConversionResult:
    """What becomes of the model file. Raises ModelFileError where no engine can serve it, or StorageFailed."""
    limits = ModelFileLimits(request.max_bytes, request.sha256)
    loaded = load_model(request.path, request.options, limits)
    card, taken = loaded.card, loaded.card.input
    conversion = conversion_of(card.head, loaded.activation, loaded.units)

    def traced(rows: int | None) -> ConcreteFunction:
        """For so many rows, or for any number."""
        function = tf.function(forward_pass_of(loaded.model, card, conversion), autograph=False)
        shape = (rows, taken.height, taken.width, taken.channels)
        return function.get_concrete_function(tf.TensorSpec(shape, tf.float32))

    forward_pass = traced(None)
    images, rows = comparison_images(taken), most_rows(loaded.bytes_per_image)
    expected = _keras_output(forward_pass, images, rows)
    check_probabilities(expected.scores, card, sums_to_one=conversion.sums_to_one)
    # If LiteRT or its converter ends this process, TensorFlow can run the model all the same.
    _write(request, ConversionResult(sha256=request.sha256, reason="it ends the process that converts it"))
    place = request.folder / MODEL
    try:
        try:
            content = _converted(forward_pass)
        except NotConvertible:
            content, rows = _converted(traced(1)), 1  # as recurrent layers need it
        with writing_temporary_files():
            place.write_bytes(content)
        outputs = tuple(sorted(forward_pass.structured_outputs))
        difference = _compared(_light_output(place, outputs, rows, images), expected)
    except NotConvertible as error:
        return ConversionResult(sha256=request.sha256, reason=str(error))
    model = ConvertedModel(
        card=card,
        findings=loaded.findings,
        summary=summarize(loaded.model, card.name, loaded.version),
        units=loaded.units,
        embedding_dimension=embedding_dimension(forward_pass),
        sums_to_one=conversion.sums_to_one,
        outputs=outputs,
        most_rows=rows,
        difference=difference,
    )
    return ConversionResult(sha256=request.sha256, model=model, digest=sha256_of(place))


def _write(request: ConversionRequest, result: ConversionResult) -> None:
    with writing_temporary_files():
        result.write(request.folder)


def comparison_images(taken: ImageInput) -> ModelInput:
    """Images as the model takes them: the page's ten samples, and noise of fine and of coarse grain."""
    samples = sorted(files("service.web").joinpath("samples").iterdir(), key=lambda file: file.name)
    pixels = [prepare(Image.open(BytesIO(file.read_bytes())), taken).pixels for file in samples]
    random, shape = np.random.default_rng(0), (taken.height, taken.width, taken.channels)
    for grain in range(_RANDOM_IMAGES):
        noise = random.integers(0, 256, (-(-shape[0] >> grain) + 1, -(-shape[1] >> grain) + 1, shape[2]), np.uint8)
        pixels.append(noise.repeat(1 << grain, 0).repeat(1 << grain, 1)[: shape[0], : shape[1]])
    return scaled(np.stack(pixels), taken)


def _keras_output(forward_pass: ConcreteFunction, images: ModelInput, rows: int) -> EngineOutput:
    """What Keras makes of `images`, `rows` at a time. Raises ModelFileError."""
    parts: defaultdict[str, list[Floats]] = defaultdict(list)
    try:
        for start in range(0, len(images), rows):
            for name, value in forward_pass(tf.constant(images[start : start + rows])).items():
                parts[name].append(value.numpy())
    except (tf.errors.OpError, ValueError, TypeError) as error:
        raise ModelFileError(f"TensorFlow cannot run the model ({first_line(error)})") from error
    return EngineOutput.of({name: np.concatenate(part) for name, part in parts.items()})


def _converted(forward_pass: ConcreteFunction) -> bytes:
    try:
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([forward_pass]).convert())
    except Exception as error:  # whatever it is, TensorFlow can run the model
        # TensorFlow begins with the place in its own code.
        raise NotConvertible(f"it cannot be converted ({first_line(error).rpartition('error: ')[2]})") from error


def _light_output(place: Path, outputs: tuple[str, ...], rows: int, images: ModelInput) -> EngineOutput:
    try:
        return LightModel(place, outputs, threads=1, rows=rows).infer(images)
    except (ValueError, RuntimeError) as error:
        raise NotConvertible(f"LiteRT cannot run it ({first_line(error)})") from error


def _compared(found: EngineOutput, expected: EngineOutput) -> float:
    """The largest difference of probabilities. Raises NotConvertible where any value differs by more than it may."""
    difference = _largest(found.scores, expected.scores)
    if not difference <= MOST_DIFFERENCE:  # as with a NaN
        raise NotConvertible(f"its probabilities differ from Keras's by up to {difference:.1e}")
    if expected.ood_scores is not None:
        ood = _largest(found.ood_scores, expected.ood_scores)
        if not ood <= _MOST_OOD_DIFFERENCE:
            raise NotConvertible(f"its out-of-distribution scores differ from Keras's by up to {ood:.1e}")
    for what, own, wanted in (
        ("outputs", found.outputs, expected.outputs),
        ("embeddings", found.embeddings, expected.embeddings),
    ):
        if wanted is not None:
            share = _largest(own, wanted) / max(1.0, float(np.abs(wanted).max()))
            if not share <= _MOST_RELATIVE_DIFFERENCE:
                raise NotConvertible(f"its {what} differ from Keras's by up to {share:.1e} of the largest")
    return difference


def _largest(found: Floats | None, expected: Floats) -> float:
    return float("inf") if found is None else float(np.abs(found - expected).max())


def _end_with_who_asked() -> None:
    """Its end of our standard input stays open for as long as it waits for us."""
    while os.read(sys.stdin.fileno(), 1):  # not by sys.stdin, whose lock Python wants when it ends
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # the process that validates the file goes, too
    os._exit(REFUSED)


def _bound_this_process(size: int) -> None:
    with suppress(ImportError, AttributeError):  # not there on Windows
        import resource  # noqa: PLC0415

        signal.alarm(WALL_SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        memory = _MEMORY_BYTES + _MEMORY_OF_EACH_BYTE * size
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _main() -> int:
    request = ConversionRequest.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_who_asked, daemon=True).start()
    try:
        _bound_this_process(request.path.stat().st_size)
        _write(request, convert(request))
    except ModelFileError as error:
        sys.stdout.write(str(error))
        return REFUSED
    except MemoryError:
        sys.stdout.write(f"{request.path} is refused: to run it took more memory than a model of its size may take")
        return REFUSED
    except StorageFailed as error:
        sys.stdout.write(str(getattr(error.__cause__, "errno", None) or 0))
        return NO_STORAGE
    return 0


if __name__ == "__main__":
    sys.exit(_main())
