"""From an infer request of the Open Inference Protocol to its answer. Knows no paths."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from fastapi import Request, Response

from models.card import ImageInput, ModelCard
from models.image_errors import ImageError
from models.preprocessing import ModelInput, Pixels
from service.context import context_of
from service.errors import MalformedRequest
from service.http.bodies import SMALL_ANSWER_VALUES, SMALL_BODY_BYTES, read_body, until_disconnected
from service.http.compression import pack, unpack
from service.http.json_bodies import bounds_for
from service.inference.model_runner import ImageScores, ModelRunner
from service.prediction import Image
from service.protocols.oip.tensors import (
    BYTES,
    DATATYPES,
    InferRequest,
    InputTensor,
    OutputTensor,
    RequestParameters,
    read_request,
    read_values,
    write_answer,
)

INPUT, OUTPUT = "input", "probabilities"
JSON_LENGTH = "Inference-Header-Content-Length"
_DIGITS = 18  # of any length that a body can have


class _Question(NamedTuple):
    """What is asked: rows that the model takes, uint8 or float32 (height, width, channels), or encoded images."""

    request: InferRequest
    images: Sequence[Image]


async def answer_infer(request: Request, runner: ModelRunner) -> tuple[Response, int]:
    """The answer to the request, and how many rows it is about.

    Raises MalformedRequest for whatever is not as the protocol or the model has it, ImageError, and as `predict`
    of `Prediction` does.
    """
    context = context_of(request)
    settings, prediction = context.settings, context.prediction
    runner.ensure_capacity()
    packed = await read_body(request, context.bodies)
    deadline = runner.deadline()
    headers = request.headers
    encoding, json_length = headers.get("content-encoding", ""), headers.get(JSON_LENGTH)

    def read() -> _Question:
        body = unpack(packed, encoding, settings.max_body_bytes)
        return _read_question(body, json_length, runner.card.input, settings.max_images_per_request)

    # What a packed body will unpack to is not known yet.
    large = bool(encoding) or len(packed) > SMALL_BODY_BYTES
    question = await prediction.on_a_thread(read, deadline) if large else read()
    if timeout_us := question.request.parameters.timeout:
        deadline = min(deadline, time.monotonic() + timeout_us / 1e6)
    left = partial(until_disconnected, request)
    try:
        predicted = await prediction.predict(runner, question.images, left, deadline=deadline)
    except ImageError as error:
        raise type(error)(f"element {error.position} of the input: {error}") from error
    answers = [one.scores for one in predicted]

    def write() -> Response:
        content, length = _write_answer(question, answers, runner.card, runner.version)
        content, more = pack(content, headers.get("accept-encoding", ""))
        if length is None:
            return Response(content, headers=more, media_type="application/json")
        return Response(content, headers={**more, JSON_LENGTH: str(length)}, media_type="application/octet-stream")

    large = len(answers) * len(runner.card.class_names) > SMALL_ANSWER_VALUES
    return await prediction.on_a_thread(write, deadline) if large else write(), len(answers)


def _read_question(body: bytes, json_length: str | None, wanted: ImageInput, most_rows: int) -> _Question:
    """What `body`, unpacked, asks; `json_length` is the header of that name, if there is one."""
    if json_length is not None and not (json_length.isdecimal() and len(json_length) <= _DIGITS):
        raise MalformedRequest(f"the header {JSON_LENGTH} is {json_length!r:.80}, expected a number of bytes")
    length = None if json_length is None else int(json_length)
    if length == 0:
        return _bare_tensor(body, wanted)
    request, behind = read_request(body, length, bounds_for(wanted, most_rows))
    (tensor,) = request.inputs
    _check_input(tensor, wanted, most_rows)
    for output in request.outputs:
        if output.name != OUTPUT:
            raise MalformedRequest(f"there is no output {output.name!r:.80}; the only one is {OUTPUT!r}")
    values = read_values(tensor, behind)
    if isinstance(values, list):
        return _Question(request, values)
    return _Question(request, _rows(values, wanted))


def _write_answer(
    question: _Question, answers: Sequence[ImageScores], card: ModelCard, version: str
) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON where something follows it."""
    request = question.request
    answer = {"model_name": card.name, "model_version": version}
    if request.id is not None:
        answer["id"] = request.id
    asked = (request.outputs[0] if request.outputs else OutputTensor(name=OUTPUT)).parameters
    binary = request.parameters.binary_data_output if asked.binary_data is None else asked.binary_data
    values: npt.NDArray[Any] = np.array([row.probabilities for row in answers], np.float32)
    if asked.classification:
        values = _classes(values, card.class_names, asked.classification)
    return write_answer(answer, OUTPUT, values, binary=binary)


def _bare_tensor(body: bytes, wanted: ImageInput) -> _Question:
    """What a body without JSON asks: one row, whose datatype is told by its size, or else an encoded image."""
    values = wanted.height * wanted.width * wanted.channels
    tensor = InputTensor(name=INPUT, shape=[1], datatype=BYTES)
    request = InferRequest(parameters=RequestParameters(binary_data_output=True), inputs=[tensor])
    if len(body) == values:
        return _Question(request, _rows(np.frombuffer(body, np.uint8), wanted))
    if len(body) == 4 * values:
        return _Question(request, _rows(np.frombuffer(body, "<f4").astype(np.float32), wanted))
    return _Question(request, [body])


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


def _rows(values: Pixels | ModelInput, wanted: ImageInput) -> list[Pixels | ModelInput]:
    return list(values.reshape(-1, wanted.height, wanted.width, wanted.channels))


def _classes(values: npt.NDArray[Any], names: Sequence[str], most: int) -> npt.NDArray[Any]:
    """As bytes `value:index:name`, the `most` most probable classes of each row, the most probable first."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :most]
    entries = [
        [f"{row[at]:f}:{at}:{names[at]}".encode() for at in best] for row, best in zip(values, order, strict=True)
    ]
    return np.array(entries, object)
