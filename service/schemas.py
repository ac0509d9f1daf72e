"""The shapes of our own API's answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.card import Share


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ModelName(_Shape):
    """Which model answered."""

    name: Annotated[str, Field(description="the model file's name for itself", examples=["best-cnn-model"])]
    version: Annotated[str, Field(description="first 12 hex digits of the file's SHA-256", examples=["0123456789ab"])]


class ClassProbability(_Shape):
    """One class and how probable the network holds it to be."""

    label: Annotated[str, Field(examples=["Ankle boot"])]
    index: Annotated[int, Field(ge=0, examples=[9])]
    probability: Annotated[Share, Field(examples=[0.9993])]


class Prediction(ClassProbability):
    """The most probable class, and the `top_k` most probable ones, sorted."""

    familiarity: Annotated[
        Share | None,
        Field(
            description="share of the validation pictures that are less typical than this one of what the network was "
            "fitted to: near 0 for what is nothing of the kind; null where the model's card has nothing to tell it by",
            examples=[0.62],
        ),
    ] = None
    probabilities: tuple[ClassProbability, ...]


class Answer(Prediction):
    """What is in the picture, and which model says so."""

    model: ModelName
    input: Annotated[
        str | None,
        Field(
            description="what the network saw, a PNG in a data URL; only there if `return_input` asks for it",
            examples=["data:image/png;base64,iVBORw0KGgo="],
        ),
    ] = None


class Problem(_Shape):
    """What went wrong, after RFC 9457."""

    type: str = "about:blank"
    title: Annotated[str, Field(description="the status in words", examples=["Bad Request"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[400])]
    detail: Annotated[str, Field(description="what arrived, what was expected, what to do")]


class BatchPrediction(_Shape):
    """The answer for one file of a batch."""

    file: Annotated[str, Field(description="the name it was sent under", examples=["boot.png"])]
    prediction: Prediction


class BatchProblem(_Shape):
    """Why one file of a batch has no answer; its neighbours are not affected."""

    file: Annotated[str, Field(description="the name it was sent under", examples=["notes.txt"])]
    problem: Problem


class BatchAnswer(_Shape):
    """One result or one problem for each file, in the order in which they were sent."""

    model: ModelName
    results: tuple[BatchPrediction | BatchProblem, ...]


class Health(_Shape):
    """The state of the service."""

    status: Annotated[Literal["live", "ready"], Field(examples=["ready"])]
