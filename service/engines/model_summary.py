"""What a model is made of, as plain data. Knows no Keras."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Shape = tuple[int | None, ...]


class LayerSummary(BaseModel):
    """One layer. What a layer does not have is null."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: Annotated[str, Field(description="Keras's class", examples=["Conv2D"])]
    inputs: Annotated[
        tuple[str, ...] | None,
        Field(
            # No null among them: OpenAPI Generator would then take other texts of the document to be null, too.
            description="the layers that it reads, by name, an empty one for the model's own input; null where that "
            "cannot be told",
            examples=[[""]],
        ),
    ] = None
    output_shape: Annotated[
        Shape, Field(description="without the batch; null where it varies", examples=[[28, 28, 32]])
    ]
    parameters: Annotated[int, Field(examples=[320])]
    filters: int | None = None
    units: int | None = None
    kernel_size: tuple[int, ...] | None = None
    pool_size: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    dilation_rate: tuple[int, ...] | None = None
    groups: Annotated[int | None, Field(description="in how many a convolution or a normalization has the maps")] = None
    padding: Annotated[str | None, Field(examples=["same"])] = None
    activation: Annotated[str | None, Field(examples=["relu"])] = None
    max_value: Annotated[float | None, Field(description="of a ReLU, what larger values become")] = None
    negative_slope: Annotated[
        float | None, Field(description="of a ReLU or LeakyReLU, what values below 0 are multiplied by")
    ] = None
    threshold: Annotated[float | None, Field(description="of a ReLU, below which values are replaced")] = None
    dropout: Annotated[float | None, Field(description="share of values dropped while training")] = None


class ModelSummary(BaseModel):
    """A model's layers, first to last, and its totals."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    name: str
    version: Annotated[str, Field(description="first 12 hex digits of the file's SHA-256")]
    input_shape: Annotated[Shape, Field(description="height, width, channels", examples=[[28, 28, 1]])]
    layers: tuple[LayerSummary, ...]
    parameters: Annotated[int, Field(examples=[333526])]
    trainable_parameters: int
