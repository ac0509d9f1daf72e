"""What an infer request of the Open Inference Protocol asks, and the tensors that answer it. Knows no transport."""

import time
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import ImageInput
from models.image_errors import ImageError
from models.preprocessing import ModelInput, Pixels
from service.errors import MalformedRequest
from service.inference.model_runner import ImageScores, ModelRunner
from service.prediction import Disconnected, Image, Prediction
from service.protocols.oip.tensors import BYTES, DATATYPES, InferRequest, InputTensor, Numbers, OutputTensor

INPUT, OUTPUT, EMBEDDING = "input", "probabilities", "embedding"


class Question(NamedTuple):
    """What is asked: rows that the model takes, uint8 or float32 (height, width, channels), or encoded images."""

    request: InferRequest
    images: Sequence[Image]

    @property
    def outputs(self) -> list[OutputTensor]:
        """Those that are to be sent: the probabilities alone where none is named."""
        return self.request.outputs or [OutputTensor(name=OUTPUT)]

    def values_of_answer(self, runner: ModelRunner) -> int:
        """How many numbers the outputs of all images have."""
        sizes = outputs_of(runner)
        return len(self.images) * sum(sizes[output.name] for output in self.outputs)


def outputs_of(runner: ModelRunner) -> dict[str, int]:
    """How many values each output has for an image, by name."""
    dimension = runner.embedding_dimension
    return {OUTPUT: len(runner.card.class_names)} | ({} if dimension is None else {EMBEDDING: dimension})


def checked_input(request: InferRequest, runner: ModelRunner, most_rows: int) -> InputTensor:
    """The one input, which is of a name, type and shape that the model takes, as the outputs are of names it has.

    Raises MalformedRequest.
    """
    (tensor,) = request.inputs
    _check_input(tensor, runner.card.input, most_rows)
    _check_outputs(request.outputs, outputs_of(runner))
    return tensor


def images_of(values: Numbers | list[bytes], wanted: ImageInput) -> Sequence[Image]:
    """The images in the values of an input that was checked."""
    return values if isinstance(values, list) else rows(values, wanted)


def rows(values: Pixels | ModelInput, wanted: ImageInput) -> list[Pixels | ModelInput]:
    """Each image of `values`, (height, width, channels)."""
    return list(values.reshape(-1, wanted.height, wanted.width, wanted.channels))


async def ask(
    prediction: Prediction, runner: ModelRunner, question: Question, deadline: float, disconnected: Disconnected
) -> list[ImageScores]:
    """The scores of each image. `deadline` is the service's own; the request may have another one.

    Raises as `predict` of `Prediction` does; ImageError says which element it is about.
    """
    if timeout_us := question.request.parameters.timeout:
        deadline = min(deadline, time.monotonic() + timeout_us / 1e6)
    try:
        predicted = await prediction.predict(runner, question.images, disconnected, deadline=deadline)
    except ImageError as error:
        raise type(error)(f"element {error.position} of the input: {error}") from error
    return [one.scores for one in predicted]


def answering(question: Question, answers: Sequence[ImageScores], runner: ModelRunner) -> list[npt.NDArray[Any]]:
    """The values of each output that is asked for: float32, or bytes as objects where they are classes."""
    tensors = []
    for output in question.outputs:
        of_rows = [row.embedding if output.name == EMBEDDING else row.probabilities for row in answers]
        values: npt.NDArray[Any] = np.array(of_rows, np.float32)
        if most := output.parameters.classification:
            values = _classes(values, runner.card.class_names, most)
        tensors.append(values)
    return tensors


def _check_input(tensor: InputTensor, wanted: ImageInput, most_rows: int) -> None:
    if tensor.name != INPUT:
        raise MalformedRequest(f"there is no input {tensor.name!r:.80}; the only one is {INPUT!r}")
    if tensor.datatype not in DATATYPES:
        raise MalformedRequest(f"the datatype is {tensor.datatype!r:.80}, expected one of {', '.join(DATATYPES)}")
    image = [wanted.height, wanted.width, wanted.channels]
    fitting = [[], [1]] if tensor.datatype == BYTES else [image, image[:2]] if wanted.channels == 1 else [image]
    if tensor.shape[1:] not in fitting or not tensor.shape:
        shapes = " or ".join(str(["n", *shape]).replace("'", "") for shape in fitting)
        raise MalformedRequest(f"the shape of {tensor.datatype} is {tensor.shape}, expected {shapes}")
    if not 1 <= tensor.shape[0] <= most_rows:
        raise MalformedRequest(f"the shape {tensor.shape} has {tensor.shape[0]:,} rows, expected 1 to {most_rows}")


def _check_outputs(asked: Sequence[OutputTensor], known: Collection[str]) -> None:
    names = [output.name for output in asked]
    for output in asked:
        if output.name not in known:
            listed = " and ".join(map(repr, known))
            raise MalformedRequest(f"there is no output {output.name!r:.80}; there is {listed}")
        if names.count(output.name) > 1:
            raise MalformedRequest(f"the output {output.name!r} is asked for twice; name each once")
        if output.name == EMBEDDING and output.parameters.classification:
            raise MalformedRequest(f"classification is asked of {EMBEDDING!r}, which has no classes; ask {OUTPUT!r}")


def _classes(values: npt.NDArray[Any], names: Sequence[str], most: int) -> npt.NDArray[Any]:
    """As bytes `value:index:name`, the `most` most probable classes of each row, the most probable first."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :most]
    entries = [
        [f"{row[at]:f}:{at}:{names[at]}".encode() for at in best] for row, best in zip(values, order, strict=True)
    ]
    return np.array(entries, object)
