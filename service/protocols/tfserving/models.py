"""The models as TensorFlow Serving knows them: by name, by numbers of versions, by tensors. Knows no transport."""

from collections.abc import Iterable
from typing import Any

from service.errors import NotFound
from service.inference.model_runner import ModelRunner
from service.inference.model_versions import ModelVersions
from service.inference.repository import ModelRepository
from service.protocols.tfserving.rows import INPUT_NAME, SIGNATURE_NAME

OUTPUT_NAME = "output"
STABLE = "stable"


def version_number(runner: ModelRunner) -> str:
    """The model's version as TensorFlow Serving has them, decimal digits.

    That is the number of its version folder, or else the value of our hexadecimal digits.
    """
    return str(int(runner.version, 16) if runner.number is None else runner.number)


def model_named(repository: ModelRepository, name: str) -> ModelVersions:
    """The model of that name, in any case. Raises NotFound."""
    by_name = {model.current.card.name.lower(): model for model in repository.models}
    return by_name.get(name.lower()) or repository.named(name)


def asked_for(model: ModelVersions, version: str | None, label: str | None) -> ModelRunner:
    """What answers for that number or label; without either the current version. Raises NotFound."""
    runner = model.current
    if label and label.lower() != STABLE:
        raise NotFound(f"there is no label {label!r:.40} on {runner.card.name!r}; the one that answers is {STABLE!r}")
    if not version:
        return runner
    kept = {version_number(kept).lstrip("0"): kept for kept in model.loaded}
    if version.lstrip("0") not in kept:
        raise NotFound(f"there is no version {version:.40} of {runner.card.name!r}; there are {', '.join(kept)}")
    return kept[version.lstrip("0")]


def status(runners: Iterable[ModelRunner]) -> dict[str, Any]:
    """That they answer, as `GetModelStatusResponse` has it in JSON."""
    fine = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [
            {
                "version": version_number(runner),
                "state": "AVAILABLE" if runner.ready else "UNLOADING",
                "status": fine,
            }
            for runner in runners
        ]
    }


def metadata(runner: ModelRunner) -> dict[str, Any]:
    """Names, types and shapes of its input and output, as `GetModelMetadataResponse` has them in JSON."""
    wanted = runner.card.input
    signature = {
        "inputs": {INPUT_NAME: _tensor(INPUT_NAME, wanted.height, wanted.width, wanted.channels)},
        "outputs": {OUTPUT_NAME: _tensor(OUTPUT_NAME, runner.engine.units)},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    return {
        "model_spec": {"name": runner.card.name, "signature_name": "", "version": version_number(runner)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE_NAME: signature}}},
    }


def _tensor(name: str, *sizes: int) -> dict[str, Any]:
    dimensions = [{"size": str(size), "name": ""} for size in (-1, *sizes)]
    shape = {"dim": dimensions, "unknown_rank": False}
    return {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": f"{name}:0"}
