"""The card: what a model file says about itself, kept in that file. Knows no Keras and no HTTP."""

import zipfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from models import card_storage
from models.head import Head
from models.pixels import ChannelOrder, PerChannel
from models.reasons import first_line

FASHION_MNIST_CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

Preparation = Literal["resize", "product-photo"]
Fit = Literal["stretch", "crop", "pad"]
Interpolation = Literal[
    "bilinear", "area", "nearest-opencv", "bicubic-opencv", "antialias", "nearest", "bicubic", "lanczos"
]
Share = Annotated[float, Field(ge=0, le=1)]


class ModelFileError(Exception):
    """A model file that is missing, damaged, or no image classifier. The text names the file and says what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ImageInput(_Part):
    """What the model takes: float32 of shape (batch, height, width, channels), each value pixel × `scale` + `offset`.

    A card that says nothing of `fit` and `interpolation` was written when there was one way only.
    """

    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3]
    channel_order: Annotated[ChannelOrder, Field(description="of three channels, which one the model takes first")] = (
        "rgb"
    )
    scale: Annotated[
        PerChannel, Field(description="what a pixel of 0 to 255 is multiplied by; of three, in the channels' order")
    ]
    offset: Annotated[PerChannel, Field(description="what is added after that")] = 0.0
    fit: Annotated[
        Fit,
        Field(
            description="how an image of other proportions is made to fit: `stretch` ignores them, `crop` cuts off "
            "what is too long, evenly, `pad` fills up with black"
        ),
    ] = "pad"
    interpolation: Annotated[
        Interpolation,
        Field(
            description="how an image of another size is resized: `bilinear` as tf.image.resize and OpenCV do it, "
            "`area`, `nearest-opencv` and `bicubic-opencv` as OpenCV; `antialias` is bilinear as Pillow does it, and "
            "`nearest`, `bicubic` and `lanczos` are Pillow's, too"
        ),
    ] = "lanczos"
    preparation: Annotated[
        Preparation,
        Field(
            description="what is done before that: `resize` is nothing, `product-photo` cuts the product out of its "
            "background, as Fashion-MNIST was made"
        ),
    ] = "resize"

    @model_validator(mode="after")
    def _one_number_or_one_for_each_channel(self) -> Self:
        if self.channels == 1 and (isinstance(self.scale, tuple) or isinstance(self.offset, tuple)):
            raise ValueError("scale and offset have three values, and a grey image one channel")
        if not np.all(np.asarray(self.scale) > 0):
            raise ValueError("scale is not above 0")
        return self


class Data(_Part):
    """The images that the model was fitted to and judged by."""

    name: str
    sha256: Annotated[str, Field(description="of the decompressed data files, one after the other")]
    training_pictures: int
    validation_pictures: int
    test_pictures: int


class Score(_Part):
    """Mean cross-entropy in nats, and the share of right answers."""

    loss: float
    accuracy: Share


class ClassFigures(_Part):
    """How well one class is told from the others on the test images."""

    name: str
    precision: Annotated[Share, Field(description="share of right answers among those that name this class")]
    recall: Annotated[Share, Field(description="share of this class's images that are named so")]
    f1: Annotated[Share, Field(description="harmonic mean of precision and recall")]
    pictures: int


class Evaluation(_Part):
    """What was measured on images that the model was not fitted to."""

    validation: Score
    test: Score
    calibration_error: Annotated[
        Share | None,
        Field(description="how far the highest probability is from the share of right test answers, on average"),
    ] = None
    per_class: tuple[ClassFigures, ...]
    confusion_matrix: Annotated[
        tuple[tuple[int, ...], ...], Field(description="test images by true class (row) and answer (column)")
    ]


class OodStatistics(_Part):
    """By what `models.ood` tells whether an image is of the kind that the model was fitted to.

    All of it was fitted to validation images; features are the input of the model's last layer.
    """

    quantiles: Annotated[
        tuple[float, ...], Field(min_length=2, description="quantiles of the measure, evenly spaced from 0 to 1")
    ]
    energy_spread: Annotated[float, Field(gt=0, description="standard deviation of the energy")]
    centres: Annotated[
        tuple[tuple[float, ...], ...],
        Field(description="mean of the features of each class; empty where they are too many for a card"),
    ] = ()
    spreads: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(description="standard deviation of each feature around its class's mean"),
    ] = ()
    distance_mean: Annotated[float, Field(description="mean distance to the nearest centre")] = 0
    distance_spread: Annotated[float, Field(gt=0, description="standard deviation of that distance")] = 1


class Epoch(_Part):
    """One pass over the training images; numbered from 1."""

    epoch: int
    loss: float
    accuracy: Share
    validation_loss: float
    validation_accuracy: Share


class Training(_Part):
    """How the model was fitted."""

    recipe: str
    settings: dict[str, JsonValue]
    history: tuple[Epoch, ...]
    best_epoch: Annotated[int, Field(description="the epoch whose weights the file holds")]
    seconds: float
    versions: Annotated[dict[str, str], Field(description="of Python, Keras and TensorFlow")]
    finished: datetime


class ModelCard(_Part):
    """Everything that a program or a person needs to know to use the model file."""

    name: str
    class_names: Annotated[tuple[str, ...], Field(min_length=2)]
    input: ImageInput
    head: Annotated[Head, Field(description="what the last layer's values mean")] = "softmax"
    output: Annotated[str | None, Field(description="which one is read of a model with several outputs")] = None
    label_threshold: Annotated[
        Share, Field(description="from which probability on a multi-label model's class is among its labels")
    ] = 0.5
    assumed: Annotated[tuple[str, ...], Field(description="what of all this is only guessed: nothing says it")] = ()
    data: Data | None = None
    training: Training | None = None
    evaluation: Evaluation | None = None
    familiarity: OodStatistics | None = None

    @model_validator(mode="after")
    def _class_names_differ(self) -> Self:
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError("two classes have the same name")
        return self


def write_card(path: Path, card: ModelCard) -> None:
    """Put `card` into the `.h5` or `.keras` at `path`, in place of one that is there.

    Raises ValueError if it is too large; what is at `path` is then as it was.
    """
    content = card.model_dump_json()
    size, room = len(content.encode()), card_storage.most_bytes(path)
    if size > room:
        raise ValueError(f"the model card has {size:,} bytes, and a model file has room for {room:,}")
    card_storage.write_text(path, content)


def read_card(path: Path) -> ModelCard | None:
    """The card in the model file at `path`, or None for a file that Keras saved without one.

    Raises ModelFileError when the file is missing, of another kind, no Keras model, or holds a card that cannot be
    read.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no model file at {path}; train one with `make train`, or name another file")
    try:
        content = card_storage.read_text(path)
        return None if content is None else ModelCard.model_validate_json(content)
    except card_storage.NoModelError as error:
        raise ModelFileError(
            f"{path} is {error}, but holds no Keras model; save the whole model with model.save('name.keras')"
        ) from error
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelFileError(
            f"{path} cannot be read as HDF5 or zip ({error}); copy it again, or save it again with "
            "model.save('name.keras')"
        ) from error
    except (ValidationError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"the model card in {path} cannot be read ({first_line(error)}); train the model again, or remove "
            f"{card_storage.ATTRIBUTE!r} from the file to serve it without a card"
        ) from error
