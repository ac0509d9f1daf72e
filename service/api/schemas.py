"""The shapes of our own API's answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeAliasType

from models.card import ModelCard, Share
from service.http.problems import Problem


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ModelName(_Shape):
    """Which model answered."""

    name: Annotated[str, Field(description="the model file's name for itself", examples=["best-cnn-model"])]
    version: Annotated[str, Field(description="first 12 hex digits of the file's SHA-256", examples=["0123456789ab"])]


class ClassProbability(_Shape):
    """One class and how probable the model holds it to be."""

    label: Annotated[str, Field(examples=["Ankle boot"])]
    index: Annotated[int, Field(ge=0, examples=[9])]
    probability: Annotated[Share, Field(examples=[0.9993])]


class Prediction(ClassProbability):
    """The most probable class, and the `top_k` most probable ones, sorted."""

    familiarity: Annotated[
        Share | None,
        Field(
            description="share of the validation images that are less typical than this one of what the model was "
            "fitted to: near 0 for what is nothing of the kind; null where the model's card has nothing to tell it by",
            examples=[0.62],
        ),
    ] = None
    probabilities: tuple[ClassProbability, ...]
    labels: Annotated[
        tuple[str, ...] | None,
        Field(
            description="of a multi-label model only: every class whose probability reaches the card's "
            "`label_threshold`, in the model's order",
        ),
    ] = None


class Answer(Prediction):
    """What is in the image, and which model says so."""

    model: ModelName
    input: Annotated[
        str | None,
        Field(
            description="what the model saw, a PNG in a data URL; only there if `return_input` asks for it",
            examples=["data:image/png;base64,iVBORw0KGgo="],
        ),
    ] = None


class BatchPrediction(_Shape):
    """The answer for one file of a batch."""

    file: Annotated[str, Field(description="the name it was sent under", examples=["boot.png"])]
    prediction: Prediction


class BatchProblem(_Shape):
    """Why one file of a batch has no answer; its neighbours are not affected."""

    file: Annotated[str, Field(description="the name it was sent under", examples=["notes.txt"])]
    problem: Problem


BatchResult = TypeAliasType("BatchResult", BatchPrediction | BatchProblem)


class BatchAnswer(_Shape):
    """One result or one problem for each file, in the order in which they were sent."""

    model: ModelName
    results: tuple[BatchResult, ...]


class ImageEmbedding(_Shape):
    """The embedding of one image."""

    file: Annotated[
        str,
        Field(
            description="the name it was sent under; `body` or `image` where it came alone, without a form",
            examples=["boot.png"],
        ),
    ]
    embedding: Annotated[
        tuple[float | None, ...],
        Field(description="`dimension` values; null for one that is no finite number", examples=[[0.0, 1.25, 0.5]]),
    ]


EmbeddingResult = TypeAliasType("EmbeddingResult", ImageEmbedding | BatchProblem)


class EmbeddingAnswer(_Shape):
    """The embedding of each image, in the order in which they were sent. Those of two versions cannot be compared."""

    model: ModelName
    dimension: Annotated[int, Field(description="how many values each embedding has", examples=[100])]
    normalized: Annotated[bool, Field(description="whether each was divided by its length")]
    results: tuple[EmbeddingResult, ...]


class Found(_Shape):
    """One thing that is known of the model, and how."""

    field: Annotated[str, Field(examples=["pixels"])]
    value: Annotated[str, Field(examples=["-1..1"])]
    source: Annotated[str, Field(description="where that comes from", examples=["an option"])]
    guessed: Annotated[bool, Field(description="whether it may as well be otherwise; `cnn-check` tries it")]


class ModelCardAnswer(ModelCard):
    """The model's card, and where what it says comes from."""

    sources: tuple[Found, ...]


class LayerOutput(_Shape):
    """What one layer made of the image: maps, or a vector of values."""

    layer: Annotated[str, Field(description="the layer's name in `/model-summary`", examples=["conv2d"])]
    shape: Annotated[tuple[int, ...], Field(description="height, width, channels; or units", examples=[[28, 28, 32]])]
    strongest: Annotated[
        tuple[int, ...], Field(description="numbers of the maps or values, the one of the highest mean first")
    ]
    maps: Annotated[
        tuple[tuple[tuple[float, ...], ...], ...] | None, Field(description="by map, row and column, in Keras's order")
    ] = None
    values: Annotated[tuple[float, ...] | None, Field(description="of a layer without maps")] = None


class FeatureMaps(_Shape):
    """What the layers made of one image."""

    model: ModelName
    layers: tuple[LayerOutput, ...]


class Histogram(_Shape):
    """How often values lie between one edge and the next."""

    edges: tuple[float, ...]
    counts: Annotated[tuple[int, ...], Field(description="one fewer than edges")]


class KernelsAnswer(_Shape):
    """The kernels of one convolution."""

    model: ModelName
    layer: Annotated[str, Field(examples=["conv2d"])]
    channel: Annotated[int | None, Field(description="the only input channel shown, or null for all")] = None
    kernels: Annotated[
        tuple[tuple[tuple[tuple[float, ...], ...], ...], ...],
        Field(description="by filter, input channel, row and column"),
    ]
    biases: Annotated[tuple[float, ...] | None, Field(description="one for each filter")] = None
    mean: Annotated[float, Field(description="of all of the layer's weights, biases left out")]
    standard_deviation: float
    histogram: Histogram


class FrameShown(_Shape):
    """Which part of the sent image, upright, the model's input shows, in shares of its width and height.

    It may reach beyond the image: there the input is black.
    """

    left: float
    top: float
    width: float
    height: float


class AttributionAnswer(_Shape):
    """How much each pixel of the model's input speaks for a class."""

    model: ModelName
    method: Annotated[str, Field(examples=["grad-cam"])]
    label: Annotated[str, Field(description="the class that is explained", examples=["Ankle boot"])]
    index: int
    probability: Share
    score: Annotated[
        float, Field(description="what is explained: the class's logit, or the logarithm of its probability")
    ]
    baseline_score: Annotated[float, Field(description="the same for a black image")]
    values: Annotated[
        tuple[tuple[float, ...], ...], Field(description="by row and column; negative where a pixel speaks against it")
    ]
    frame: FrameShown


class TracedWindow(_Shape):
    """What the layer read for one value."""

    rows: Annotated[tuple[int, ...], Field(description="of the layer's input; below 0 or past its end for padding")]
    columns: tuple[int, ...]
    inside: Annotated[
        tuple[tuple[bool, ...], ...],
        Field(
            description="by row and column: false for padding, which a convolution reads as 0, and a pooling leaves out"
        ),
    ]
    values: Annotated[tuple[tuple[tuple[float, ...], ...], ...], Field(description="by channel, row and column")]


class Trace(_Shape):
    """The arithmetic of one value of one map.

    Of a convolution: the sum of `products` = window × kernel, plus `bias`, is `total`, and `activation` makes `value`
    of it. Of a pooling: `chosen` is the row and column, in the window, of the largest value; a mean has none.
    """

    model: ModelName
    layer: Annotated[str, Field(examples=["conv2d"])]
    kind: Annotated[str, Field(description="convolution, maximum or mean", examples=["convolution"])]
    filter: int
    row: int
    column: int
    window: TracedWindow
    kernel: Annotated[
        tuple[tuple[tuple[float, ...], ...], ...] | None, Field(description="like the window's values")
    ] = None
    products: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    bias: float | None = None
    total: float | None = None
    activation: Annotated[str | None, Field(examples=["relu"])] = None
    chosen: tuple[int, int] | None = None
    value: Annotated[float, Field(description="what the model has there")]


class Health(_Shape):
    """The state of the service."""

    status: Annotated[Literal["live", "ready"], Field(examples=["ready"])]
