"""Every setting of a training run: its option, environment name, default and meaning."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

STRONG_DEFAULTS = {"epochs": 90, "batch_size": 128, "learning_rate": 0.002, "validation_share": 0.1}


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
    dense: Annotated[int, Field(ge=1, description="units of the dense layer")] = 100
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of the dense layer dropped in each step")] = 0.4
    validation_share: Annotated[
        float, Field(gt=0, lt=1, description="share of the training images held out to choose the best epoch")
    ] = 0.2
    seed: Annotated[
        int, Field(ge=0, lt=2**32, description="seed of the split, the first weights, the shuffling and the dropout")
    ] = 42
    data: Annotated[
        str,
        Field(description="what to fit to: fashion-mnist, mnist, or a folder with one subfolder of images a class"),
    ] = "fashion-mnist"
    image_size: Annotated[
        int, Field(ge=2, le=1024, description="height and width to which images from a folder are scaled")
    ] = 28
    channels: Annotated[
        Literal[1, 3],
        BeforeValidator(int),
        Field(description="1 to look at images from a folder in grey, 3 in colours"),
    ] = 1
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
    resume: Annotated[bool, Field(description="go on with the latest run in --runs-dir that was interrupted")] = False

    @model_validator(mode="before")
    @classmethod
    def _default_by_recipe(cls, given: dict[str, object]) -> dict[str, object]:
        return {**STRONG_DEFAULTS, **given} if given.get("recipe") == "strong" else given

    @field_validator("filters", mode="before")
    @classmethod
    def _split_filters(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value
