"""Every knob of the service: its option, environment name, default and meaning."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENVIRONMENT_PREFIX = "SERVICE_"

Device = Literal["auto", "cpu", "gpu"]


class ServiceSettings(BaseSettings):
    """Serve a Keras image classifier over HTTP.

    Each option can be given in the environment too: --model-path is SERVICE_MODEL_PATH.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        cli_prog_name="cnn-serve",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        frozen=True,
        protected_namespaces=(),
    )

    host: Annotated[str, Field(description="address to listen on; 0.0.0.0 for every one of this machine")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")] = 8000
    workers: Annotated[int, Field(ge=1, description="processes, each with its own copy of the model")] = 1
    model_path: Annotated[Path, Field(description="the .h5 file to serve")] = Path("models/best-cnn-model.h5")
    class_names: Annotated[
        tuple[str, ...], NoDecode, Field(description="names of the classes, by commas, for a file that has no card")
    ] = ()
    device: Annotated[
        Device,
        Field(description="where the network runs; gpu refuses to start without one, auto takes one if there is"),
    ] = "auto"
    max_body_bytes: Annotated[int, Field(ge=1, description="largest request body that is read")] = 10 * 1024 * 1024
    max_image_pixels: Annotated[int, Field(ge=1, description="largest width times height that is decoded")] = 25_000_000
    max_batch_pictures: Annotated[int, Field(ge=1, description="most pictures in one /predict/batch request")] = 64
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="least severe kind of line that is logged")
    ] = "info"

    @field_validator("class_names", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    def export(self) -> None:
        """Write every setting to the environment, where worker processes read them again."""
        for name, value in self:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            os.environ[ENVIRONMENT_PREFIX + name.upper()] = text
