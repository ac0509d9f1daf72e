"""From an infer request of the Open Inference Protocol over HTTP to its answer. Knows no paths."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from fastapi import Request, Response

from models.card import ImageInput
from service.context import context_of
from service.errors import MalformedRequest
from service.http.bodies import SMALL_ANSWER_VALUES, SMALL_BODY_BYTES, read_body, until_disconnected
from service.http.compression import pack, unpack
from service.http.json_bodies import bounds_for
from service.inference.model_runner import ImageScores, ModelRunner
from service.protocols.oip.question import INPUT, Question, answering, ask, checked_input, images_of, rows
from service.protocols.oip.tensors import (
    BYTES,
    GivenTensor,
    InferRequest,
    InputTensor,
    RequestParameters,
    read_request,
    read_values,
    write_answer,
)

JSON_LENGTH = "Inference-Header-Content-Length"
_DIGITS = 18  # of any length that a body can have


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

    def read() -> Question:
        body = unpack(packed, encoding, settings.max_body_bytes)
        return _read_question(body, json_length, runner, settings.max_images_per_request)

    # What a packed body will unpack to is not known yet.
    large = bool(encoding) or len(packed) > SMALL_BODY_BYTES
    question = await prediction.on_a_thread(read, deadline) if large else read()
    answers = await ask(prediction, runner, question, deadline, partial(until_disconnected, request))

    def write() -> Response:
        content, length = _write_answer(question, answers, runner)
        content, more = pack(content, headers.get("accept-encoding", ""))
        if length is None:
            return Response(content, headers=more, media_type="application/json")
        return Response(content, headers={**more, JSON_LENGTH: str(length)}, media_type="application/octet-stream")

    large = question.values_of_answer(runner) > SMALL_ANSWER_VALUES
    return await prediction.on_a_thread(write, deadline) if large else write(), len(answers)


def _read_question(body: bytes, json_length: str | None, runner: ModelRunner, most_rows: int) -> Question:
    """What `body`, unpacked, asks; `json_length` is the header of that name, if there is one."""
    wanted = runner.card.input
    if json_length is not None and not (json_length.isdecimal() and len(json_length) <= _DIGITS):
        raise MalformedRequest(f"the header {JSON_LENGTH} is {json_length!r:.80}, expected a number of bytes")
    length = None if json_length is None else int(json_length)
    if length == 0:
        return _bare_tensor(body, wanted)
    request, behind = read_request(body, length, bounds_for(wanted, most_rows))
    tensor = checked_input(request, runner, most_rows)
    return Question(request, images_of(read_values(tensor, behind), wanted))


def _write_answer(question: Question, answers: Sequence[ImageScores], runner: ModelRunner) -> tuple[bytes, int | None]:
    """The body of the answer, and the length of its JSON where something follows it."""
    request = question.request
    answer = {"model_name": runner.card.name, "model_version": runner.served_version}
    if request.id is not None:
        answer["id"] = request.id
    tensors = []
    for output, values in zip(question.outputs, answering(question, answers, runner), strict=True):
        asked = output.parameters.binary_data
        binary = request.parameters.binary_data_output if asked is None else asked
        tensors.append(GivenTensor(output.name, values, binary))
    return write_answer(answer, tensors)


def _bare_tensor(body: bytes, wanted: ImageInput) -> Question:
    """What a body without JSON asks: one row, whose datatype is told by its size, or else an encoded image."""
    values = wanted.height * wanted.width * wanted.channels
    tensor = InputTensor(name=INPUT, shape=[1], datatype=BYTES)
    request = InferRequest(parameters=RequestParameters(binary_data_output=True), inputs=[tensor])
    if len(body) == values:
        return Question(request, rows(np.frombuffer(body, np.uint8), wanted))
    if len(body) == 4 * values:
        return Question(request, rows(np.frombuffer(body, "<f4").astype(np.float32), wanted))
    return Question(request, [body])
