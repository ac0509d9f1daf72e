"""Every setting of a training run: its option, environment name, default and meaning."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.card import Fit
from models.pixels import PixelRange

NAMED_DATA = ("fashion-mnist", "mnist")  # of one size; all other data are files of one's own
MOST_IMAGE_SIZE = 1024
_OF_A_BASE = ("pixels", "fine_tune_epochs", "fine_tune_learning_rate")
_OF_OUR_OWN = ("filters", "padding", "strides", "pooling")
STRONG_DEFAULTS = {"epochs": 90, "batch_size": 128, "learning_rate": 0.002, "validation_share": 0.1}


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class TrainingSettings(BaseSettings):
    """Fit the network to Fashion-MNIST, or to images of your own, and publish it as a model file.

    Each option can be given in the environment too: --batch-size is TRAINING_BATCH_SIZE.
    The defaults are the textbook's recipe.
    """

    model_config = SettingsConfigDict(
        env_prefix="TRAINING_",
        cli_prog_name="cnn-train",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        frozen=True,
    )

    recipe: Annotated[
        Literal["textbook", "strong"],
        Field(
            description="strong fits longer to images that are changed anew each time; its defaults for others: "
            + ", ".join(f"{name.replace('_', '-')} {value}" for name, value in STRONG_DEFAULTS.items())
        ),
    ] = "textbook"
    base: Annotated[
        str | None,
        Field(
            description="a pretrained network to begin with: one of keras.applications, such as mobilenetv2, with "
            "ImageNet's weights, or a Keras file"
        ),
    ] = None
    pixels: Annotated[
        PixelRange | None,
        Field(description="what the base takes for pixels of 0 to 255, where its file does not tell"),
    ] = None
    fine_tune_epochs: Annotated[
        int, Field(ge=0, description="most passes that fit the base as well, after its new last layers")
    ] = 0
    fine_tune_learning_rate: Annotated[float, Field(gt=0, description="Adam's step size in those")] = 0.00001
    epochs: Annotated[int, Field(ge=1, description="most passes over the training images")] = 20
    batch_size: Annotated[int, Field(ge=1, description="images in one step of the optimizer")] = 32
    learning_rate: Annotated[float, Field(gt=0, description="Adam's step size")] = 0.001
    patience: Annotated[
        int, Field(ge=0, description="epochs without a lower validation loss after which fitting stops")
    ] = 2
    filters: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        NoDecode,
        Field(min_length=1, description="filters of each convolution, each followed by a pooling of 2"),
    ] = (32, 64)
    padding: Annotated[
        Literal["same", "valid"],
        Field(description="of the convolutions: same adds zeros around the maps, valid adds none, so that they shrink"),
    ] = "same"
    strides: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        NoDecode,
        Field(min_length=1, description="pixels that a convolution moves on: one number for all, or one for each"),
    ] = (1,)
    pooling: Annotated[
        Literal["max", "average"], Field(description="what a pooling keeps of each window: its maximum or average")
    ] = "max"
    dense: Annotated[int, Field(ge=1, description="units of the dense layer")] = 100
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of the dense layer dropped in each step")] = 0.4
    validation_share: Annotated[
        float, Field(gt=0, lt=1, description="share of the training images held out to choose the best epoch")
    ] = 0.2
    class_weights: Annotated[
        Literal["none", "balanced"],
        Field(description="balanced lets each class count the same while fitting, however few its images are"),
    ] = "none"
    seed: Annotated[
        int, Field(ge=0, lt=2**32, description="seed of the split, the first weights, the shuffling and the dropout")
    ] = 42
    data: Annotated[
        str,
        Field(description="what to fit to: fashion-mnist, mnist, a folder of images, or a CSV file that names them"),
    ] = "fashion-mnist"
    image_size: Annotated[
        int | None,
        Field(
            ge=2,
            le=MOST_IMAGE_SIZE,
            description="height and width to which images from a folder are scaled; without it 28, or with --base its "
            "own, or 224 where it takes any",
        ),
    ] = None
    fit: Annotated[
        Fit | None,
        Field(
            description="how an image from a folder is made to fit: stretch, crop or pad; without it pad, with --base "
            "crop, or as its file says"
        ),
    ] = None
    channels: Annotated[
        Literal[1, 3] | None,
        BeforeValidator(_number),
        Field(
            description="1 to look at images from a folder in grey, 3 in colours; without it 1, or with --base its own"
        ),
    ] = None
    data_dir: Annotated[
        Path | None,
        Field(
            description="folder of the four Fashion-MNIST files; without it the system's, Keras's cache, or a download"
        ),
    ] = None
    output: Annotated[Path, Field(description="the model file to publish, a .h5 or a .keras")] = Path(
        "models/best-cnn-model.h5"
    )
    runs_dir: Annotated[Path, Field(description="folder in which each run keeps its files")] = Path("runs")
    tensorboard: Annotated[
        bool, Field(description="write the curves for TensorBoard into the run's folder, to be followed as it goes")
    ] = False
    mlflow: Annotated[
        bool, Field(description="tell MLflow of the run; where that is, MLFLOW_TRACKING_URI says, as everywhere")
    ] = False
    mlflow_model: Annotated[
        str | None, Field(min_length=1, description="name under which MLflow's model registry gets the model as well")
    ] = None
    resume: Annotated[bool, Field(description="go on with the latest run in --runs-dir that was interrupted")] = False

    @model_validator(mode="before")
    @classmethod
    def _default_by_recipe(cls, given: dict[str, object]) -> dict[str, object]:
        return {**STRONG_DEFAULTS, **given} if given.get("recipe") == "strong" else given

    @model_validator(mode="after")
    def _what_goes_together(self) -> Self:
        if self.base and self.recipe == "strong":
            raise ValueError("--recipe strong is for a network that is fitted from the beginning, without --base")
        for names, meant, when in ((_OF_A_BASE, self.base, "with"), (_OF_OUR_OWN, not self.base, "without")):
            for name in names:
                if name in self.model_fields_set and not meant:
                    raise ValueError(f"--{name.replace('_', '-')} has a meaning {when} --base only")
        if len(self.strides) not in (1, len(self.filters)):
            raise ValueError(
                f"--strides has {len(self.strides)} numbers, and --filters names {len(self.filters)} convolutions; "
                "give one number for all, or one for each"
            )
        if self.tensorboard and not find_spec("tensorboard"):
            raise ValueError("--tensorboard needs TensorBoard; install it with `pip install tensorboard`")
        if self.mlflow_model and not self.mlflow:
            raise ValueError("--mlflow-model has a meaning with --mlflow only")
        if self.mlflow and not find_spec("mlflow"):
            raise ValueError("--mlflow needs MLflow; install it with `pip install mlflow`")
        return self

    @field_validator("filters", "strides", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value
