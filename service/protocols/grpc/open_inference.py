"""The Open Inference Protocol, version 2, over gRPC, as the clients of Triton and KServe speak it."""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy.typing as npt
from google.protobuf.message import Message

from service.context import Context
from service.errors import MalformedRequest
from service.http.bodies import SMALL_ANSWER_VALUES, SMALL_BODY_BYTES
from service.inference.model_runner import ImageScores, ModelRunner
from service.protocols.grpc.calls import Call, Method, Stream, methods_of
from service.protocols.grpc.messages import open_inference_pb2 as pb
from service.protocols.oip.descriptions import EXTENSIONS, model_config, model_metadata, repository_index
from service.protocols.oip.model_repository import load_or_roll_back
from service.protocols.oip.question import Question, answering, ask, checked_input, images_of
from service.protocols.oip.statistics import counting, statistics_of
from service.protocols.oip.tensors import BYTES, content_of, datatype_of, infer_request, read_values

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_LONGEST_VERSION = 40

# Where the values of a datatype stand that are not raw.
_CONTENTS = {"UINT8": "uint_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", BYTES: "bytes_contents"}


class OpenInference:
    """What answers each of the protocol's methods."""

    def __init__(self, context: Context, name: str, version: str) -> None:
        """`name` and `version` are the service's own."""
        self._settings, self._prediction = context.settings, context.prediction
        self._repository = context.prediction.repository
        self._name, self._version = name, version

    def methods(self) -> dict[str, Method | Stream]:
        """Its methods, by path."""
        answers: dict[str, Callable[[Any, Call], Awaitable[Message]]] = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ServerMetadata": self.server_metadata,
            "ModelReady": self.model_ready,
            "ModelMetadata": self.model_metadata,
            "ModelConfig": self.model_config,
            "ModelStatistics": self.model_statistics,
            "ModelInfer": self.model_infer,
            "RepositoryIndex": self.repository_index,
            "RepositoryModelLoad": self.load,
            "RepositoryModelUnload": self.unload,
        }
        return methods_of(SERVICE, answers, open_to_all=("ServerLive", "ServerReady"))

    async def server_live(self, _: pb.ServerLiveRequest, __: Call) -> pb.ServerLiveResponse:
        """That the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: pb.ServerReadyRequest, __: Call) -> pb.ServerReadyResponse:
        """Whether images are taken."""
        return pb.ServerReadyResponse(ready=self._repository.default.current.ready)

    async def server_metadata(self, _: pb.ServerMetadataRequest, __: Call) -> pb.ServerMetadataResponse:
        """Name and version of the service, and which extensions of the protocol it knows."""
        return pb.ServerMetadataResponse(name=self._name, version=self._version, extensions=EXTENSIONS)

    async def model_ready(self, request: pb.ModelReadyRequest, _: Call) -> pb.ModelReadyResponse:
        """Whether images are taken for the model. Raises NotFound."""
        return pb.ModelReadyResponse(ready=self._runner(request.name, request.version).ready)

    async def model_metadata(self, request: pb.ModelMetadataRequest, _: Call) -> pb.ModelMetadataResponse:
        """Name, versions and tensors. Raises NotFound."""
        runner = self._runner(request.name, request.version)
        return pb.ModelMetadataResponse(**model_metadata(self._repository.named(request.name), runner))

    async def model_config(self, request: pb.ModelConfigRequest, _: Call) -> pb.ModelConfigResponse:
        """The same as Triton has it. Raises NotFound."""
        runner = self._runner(request.name, request.version)
        return pb.ModelConfigResponse(config={**model_config(runner, self._settings.max_images_per_request)})

    async def model_statistics(self, request: pb.ModelStatisticsRequest, _: Call) -> pb.ModelStatisticsResponse:
        """What this process has answered by the protocol, of one model or of all. Raises NotFound."""
        if request.name:
            runners = [self._runner(request.name, request.version)]
        else:
            runners = [model.current for model in self._repository.models]
        return pb.ModelStatisticsResponse(model_stats=[{**statistics_of(runner)} for runner in runners])

    async def repository_index(self, request: pb.RepositoryIndexRequest, _: Call) -> pb.RepositoryIndexResponse:
        """The models that answer, and those that were unloaded unless only those that are `ready` are asked for."""
        models = [
            model for model in repository_index(self._repository) if not request.ready or model["state"] == "READY"
        ]
        return pb.RepositoryIndexResponse(models=[{**model} for model in models])

    async def load(self, request: pb.RepositoryModelLoadRequest, _: Call) -> pb.RepositoryModelLoadResponse:
        """Let the model's file as it is answer from now on, or the previous `version` that the parameters name."""
        version = _plain(request.parameters).get("version")
        if version is not None and not (isinstance(version, str) and len(version) <= _LONGEST_VERSION):
            raise MalformedRequest(f"the parameter version is {version!r:.80}, expected 12 hexadecimal digits as text")
        await load_or_roll_back(self._repository, request.model_name, version)
        return pb.RepositoryModelLoadResponse()

    async def unload(self, request: pb.RepositoryModelUnloadRequest, _: Call) -> pb.RepositoryModelUnloadResponse:
        """Let one of several models answer no longer, in any worker, until it is loaded again."""
        await self._repository.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    async def model_infer(self, request: pb.ModelInferRequest, call: Call) -> pb.ModelInferResponse:
        """The probabilities of each image, or its most probable classes, and its embedding where that is asked for."""
        runner = self._runner(request.model_name, request.model_version)
        with counting(runner) as counts:
            runner.ensure_capacity()
            deadline = call.deadline(runner)

            def read() -> Question:
                return _question(request, runner, self._settings.max_images_per_request)

            large = call.size > SMALL_BODY_BYTES
            question = await self._prediction.on_a_thread(read, deadline) if large else read()
            answers = await ask(self._prediction, runner, question, deadline, call.left)

            def write() -> pb.ModelInferResponse:
                return _response(question, answers, runner, raw=bool(request.raw_input_contents))

            large = question.values_of_answer(runner) > SMALL_ANSWER_VALUES
            response = await self._prediction.on_a_thread(write, deadline) if large else write()
            counts.rows += len(answers)
        return response

    def _runner(self, name: str, version: str) -> ModelRunner:
        model = self._repository.named(name)
        return model.version(version) if version else model.current


def _question(request: pb.ModelInferRequest, runner: ModelRunner, most_rows: int) -> Question:
    """What `request` asks, as the protocol's JSON would ask it. Raises MalformedRequest."""
    raw = request.raw_input_contents
    asked = infer_request(
        {
            "id": request.id or None,
            "parameters": _plain(request.parameters),
            "inputs": [
                _input(tensor, raw[place] if place < len(raw) else None) for place, tensor in enumerate(request.inputs)
            ],
            "outputs": [{"name": output.name, "parameters": _plain(output.parameters)} for output in request.outputs],
        }
    )
    tensor = checked_input(asked, runner, most_rows)
    if len(raw) > 1:
        raise MalformedRequest(f"{len(raw)} raw_input_contents came for one input; expected one, or contents")
    contents = _contents(request.inputs[0].contents, tensor.datatype, math.prod(tensor.shape))
    if raw and contents is not None:
        raise MalformedRequest(f"the input {tensor.name!r:.80} has contents, and raw_input_contents too; send either")
    if not raw:
        tensor = tensor.model_copy(update={"data": [] if contents is None else contents})
    values = read_values(tensor, memoryview(raw[0] if raw else b""))
    return Question(asked, images_of(values, runner.card.input))


def _input(tensor: Any, raw: bytes | None) -> dict[str, Any]:
    size = None if raw is None else len(raw)
    parameters = {**_plain(tensor.parameters), "binary_data_size": size}
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "parameters": parameters}


def _contents(contents: pb.InferTensorContents, datatype: str, values: int) -> list[Any] | None:
    """Those of the one field that is for `datatype`, as many as there are to be; None where all fields are empty."""
    present = [field.name for field, _ in contents.ListFields()]
    if not present:
        return None
    expected = _CONTENTS.get(datatype)
    if expected is None:
        raise MalformedRequest(f"contents came for {datatype}, of which only raw_input_contents can be sent")
    if present != [expected]:
        raise MalformedRequest(f"{' and '.join(present)} came for {datatype}, expected {expected} alone")
    found: Sequence[Any] = getattr(contents, expected)
    if len(found) != values:
        raise MalformedRequest(f"{expected} has {len(found):,} values, and the shape takes {values:,}")
    return list(found)


def _response(
    question: Question, answers: Sequence[ImageScores], runner: ModelRunner, *, raw: bool
) -> pb.ModelInferResponse:
    """The answer, with its tensors as those of the question came."""
    response = pb.ModelInferResponse(
        model_name=runner.card.name, model_version=runner.served_version, id=question.request.id or ""
    )
    for output, values in zip(question.outputs, answering(question, answers, runner), strict=True):
        datatype = datatype_of(values)
        tensor = response.outputs.add(name=output.name, datatype=datatype, shape=values.shape)
        if raw:
            response.raw_output_contents.append(content_of(values))
        else:
            getattr(tensor.contents, _CONTENTS[datatype]).extend(_flat(values))
    return response


def _flat(values: npt.NDArray[Any]) -> Iterable[Any]:
    flat: Iterable[Any] = values.ravel().tolist()
    return flat


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The values of parameters, which are of one of several types each."""
    return {
        name: getattr(value, kind)
        for name, value in parameters.items()
        if (kind := value.WhichOneof("parameter_choice")) is not None
    }
