"""The calls of TensorFlow Serving's REST API as the OpenAPI document shows them. None of what stands here is called.

`routes.py` answers all of them by one route, as their paths cannot be told apart by FastAPI's: case does not matter,
and parts can be left out.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from service.protocols.documentation import Endpoint, errors, for_versions

TAG = "tensorflow-serving"
router = APIRouter(tags=[TAG])

_BUSY = (408, 503, 504)
_VERSION = "the version as a decimal number, which the model's status tells"
_Model = Annotated[str, Path(description="the model's name, as in its card; case does not matter")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EncodedImage(_Strict):
    """An encoded image, prepared as `/predict` does it."""

    b64: Annotated[str, Field(min_length=1, json_schema_extra={"format": "byte"}, description="its bytes in base64")]


# Deeper unions are more than generators get right, so that not all is said of either.
Numbers = TypeAliasType("Numbers", list[list[Any]])
"""Values that reach the model as they are: by row, column and channel; of a grey image also by row and column."""

Row = TypeAliasType("Row", EncodedImage | Numbers)


class NamedRow(_Strict):
    """A row under the name of the model's one input."""

    input: Row


class _Request(BaseModel):
    signature_name: Literal["", "serving_default"] = "serving_default"


class RowPredictRequest(_Request):
    """A question in row form."""

    instances: Annotated[list[EncodedImage | NamedRow | Numbers], Field(min_length=1)]


class NamedRows(_Strict):
    """Rows under the name of the model's one input."""

    input: Annotated[list[Row], Field(min_length=1)]


class ColumnarPredictRequest(_Request):
    """A question in column form."""

    inputs: Annotated[list[Row], Field(min_length=1)] | EncodedImage | NamedRows


class ClassificationRequest(_Request):
    """What to classify."""

    examples: Annotated[list[EncodedImage | NamedRow], Field(min_length=1)]


class RowPredictResponse(BaseModel):
    """The model's output for each row."""

    predictions: list[list[float]]


class ColumnarPredictResponse(BaseModel):
    """The same in column form."""

    outputs: list[list[float]]


class ClassificationResponse(BaseModel):
    """Of each row a pair of label and probability for each class, in the model's order."""

    results: list[list[list[Any]]]


class ModelVersionStatus(BaseModel):
    """One version of a model."""

    version: Annotated[
        str,
        Field(description="its folder's number, or the value of the 12 hex digits that the service's own calls report"),
    ]
    state: Literal["AVAILABLE", "UNLOADING"]
    status: dict[str, str]


class GetModelStatusResponse(BaseModel):
    """The version that was asked for, or all that are loaded, the one that answers first."""

    model_version_status: list[ModelVersionStatus]


class GetModelMetadataResponse(BaseModel):
    """Names, types and shapes of input and output, as a SavedModel's `serving_default` has them."""

    model_spec: dict[str, str]
    metadata: dict[str, Any]


ServingRequest = TypeAliasType("ServingRequest", RowPredictRequest | ColumnarPredictRequest)
PredictResponse = TypeAliasType("PredictResponse", RowPredictResponse | ColumnarPredictResponse)


def _call(method: str, call: str, name: str, *statuses: int, **documented: Any) -> Callable[[Endpoint], Endpoint]:
    responses = errors(400, 404, *statuses)
    return for_versions(
        router, method, "/v1/models/{model}", call, _VERSION, f"tfserving_{name}", responses=responses, **documented
    )


@_call("POST", ":predict", "predict", *_BUSY, summary="Say what is in images", response_model=PredictResponse)
def _predict(model: _Model, body: Annotated[ServingRequest, Body(title="ServingRequest")]) -> None:
    """The model's output for images or numbers: `instances` gives `predictions`, `inputs` gives `outputs`."""


@_call("POST", ":classify", "classify", *_BUSY, summary="Name classes of images", response_model=ClassificationResponse)
def _classify(model: _Model, body: ClassificationRequest) -> None:
    """Every class with its probability, for each of the `examples`."""


@_call("GET", "", "model_status", summary="Is a model served?", response_model=GetModelStatusResponse)
def _status(model: _Model) -> None:
    """The state and number of the version; `/labels/stable` may stand in its place in each of these calls."""


@_call("GET", "/metadata", "model_metadata", summary="Describe a model", response_model=GetModelMetadataResponse)
def _metadata(model: _Model) -> None:
    """Names, types and shapes of the model's input and output."""
