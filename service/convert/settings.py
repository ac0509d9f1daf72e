"""Every setting of `cnn-convert`: its option, environment name, default and meaning. Knows no model."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict

from service.settings import ConversionSettings


class ConvertSettings(ConversionSettings):
    """Convert model files for the light engine, so that the service need not when it starts.

    Give it the options that the service gets: what they say of a model goes into what is converted. Exits with 0, 2 for
    wrong arguments, and 3 where a file cannot be served. Each option can be given in the environment too, by the
    service's names: --cache-dir is SERVICE_CACHE_DIR.
    """

    model_config = SettingsConfigDict(cli_prog_name="cnn-convert")

    model: Annotated[CliPositionalArg[Path], Field(description="the file that will be served, or the folder of them")]
