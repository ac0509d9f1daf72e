"""Every setting of `cnn-check`: its option, environment name, default and meaning. Knows no model."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from service.settings import ModelSettings


class CheckSettings(ModelSettings):
    """Say what the service would assume of a model file, and with pictures whether that is right.

    Exits with 0 where nothing is guessed, 1 where something is, 2 for wrong arguments, and 3 where the file cannot be
    served. Each option can be given in the environment too, by the service's names: --pixels is SERVICE_PIXELS.
    """

    model_config = SettingsConfigDict(cli_prog_name="cnn-check")

    model: Annotated[CliPositionalArg[Path], Field(description="the .keras, .h5 or Teachable Machine file")]
    pictures: Annotated[
        Path | None,
        Field(description="folder of pictures like those that will be sent, best with a subfolder for each class"),
    ] = None
    most: Annotated[
        int, Field(ge=2, le=2000, description="most pictures that are looked at, spread evenly over the classes")
    ] = 200
    write_card: Annotated[
        Path | None, Field(description="copy of the model to write, which says itself what was found out")
    ] = None
    force: Annotated[bool, Field(description="write the copy also where there already is such a file")] = False
    max_model_bytes: Annotated[int, Field(ge=1, description="largest model file that is loaded")] = 1 << 30
