"""The service and its models as the Open Inference Protocol describes them. Knows no transport."""

from service.errors import STOPPING
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions
from service.inference.repository import ModelRepository
from service.protocols.oip.answers import ModelConfig, ModelMetadata, RepositoryModel
from service.protocols.oip.question import INPUT, outputs_of

PLATFORM = "keras_h5"
EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"]


def model_metadata(model: ModelVersions, runner: ModelRunner) -> ModelMetadata:
    """Name, versions and tensors. The input is declared as pixels; FP32 and BYTES are taken in its place."""
    wanted = runner.card.input
    return {
        "name": runner.card.name,
        "versions": [version.served_version for version in model.loaded],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, wanted.height, wanted.width, wanted.channels]}],
        "outputs": [
            {"name": name, "datatype": "FP32", "shape": [-1, size]} for name, size in outputs_of(runner).items()
        ],
    }


def model_config(runner: ModelRunner, most_rows: int) -> ModelConfig:
    """The metadata once more, as Triton's image client reads it; sizes are without the batch of `most_rows`."""
    wanted = runner.card.input
    dims = [wanted.height, wanted.width, wanted.channels]
    return {
        "name": runner.card.name,
        "platform": PLATFORM,
        "max_batch_size": most_rows,
        "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "format": "FORMAT_NHWC", "dims": dims}],
        "output": [
            {"name": name, "data_type": "TYPE_FP32", "dims": [size]} for name, size in outputs_of(runner).items()
        ],
    }


def repository_index(repository: ModelRepository) -> list[RepositoryModel]:
    """The models that answer, and those that were unloaded."""
    answering: list[RepositoryModel] = [
        {
            "name": model.current.card.name,
            "version": model.current.served_version,
            "state": "READY" if model.current.ready else "UNAVAILABLE",
            "reason": "" if model.current.ready else STOPPING,
        }
        for model in repository.models
    ]
    unloaded: list[RepositoryModel] = [
        {"name": name, "state": "UNAVAILABLE", "reason": "unloaded"} for name in sorted(repository.unloaded)
    ]
    return answering + unloaded
