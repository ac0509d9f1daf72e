"""The answers of the Open Inference Protocol, by the names that its specification and Triton's extensions have."""

from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic reads the standard library's from Python 3.12 on only


class ServerMetadata(TypedDict):
    """Name and version of the service, and which extensions of the protocol it knows."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(TypedDict):
    """That the process answers."""

    live: bool


class ServerReady(TypedDict):
    """That images are taken."""

    ready: bool


class ModelReady(TypedDict):
    """That images are taken for this model."""

    name: str
    ready: bool


class TensorMetadata(TypedDict):
    """One input or output; -1 in `shape` stands for any number."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(TypedDict):
    """Name, loaded versions and tensors of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfig(TypedDict):
    """One input or output as Triton has it, without the batch."""

    name: str
    data_type: str
    format: NotRequired[str]
    dims: list[int]


class ModelConfig(TypedDict):
    """The metadata in Triton's form."""

    name: str
    platform: str
    max_batch_size: int
    input: list[TensorConfig]
    output: list[TensorConfig]


class RequestCounts(TypedDict):
    """How many requests, and the nanoseconds that they took."""

    count: int
    ns: int


class InferenceStatistics(TypedDict):
    """Requests that were answered, and those that failed."""

    success: RequestCounts
    fail: RequestCounts


class ModelStatistics(TypedDict):
    """What one model answered; `inference_count` is in images."""

    name: str
    version: str
    inference_count: int
    inference_stats: InferenceStatistics


class Statistics(TypedDict):
    """What this process answered by this protocol."""

    model_stats: list[ModelStatistics]


class RepositoryModel(TypedDict):
    """A model that answers, or one that was unloaded and has no version."""

    name: str
    version: NotRequired[str]
    state: str
    reason: str


class LoadedModel(TypedDict):
    """What answers from now on."""

    name: str
    version: str


class ResponseTensor(TypedDict):
    """An output: `data` by row and value; or, behind the JSON, as many bytes as the parameters say."""

    name: str
    datatype: str
    shape: list[int]
    data: NotRequired[list[float] | list[str]]
    parameters: NotRequired[dict[str, Any]]


class InferResponse(TypedDict):
    """The answer of a model."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[ResponseTensor]
