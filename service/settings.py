"""Every setting of the service: its option, environment name, default and meaning."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.logs import LogFormat

ENVIRONMENT_PREFIX = "SERVICE_"

# What is left of `drain_timeout_s` for the model to end its last call, after clients were answered or given up.
LAST_CALL_S = 0.5

# A phone on a bad connection sends and reads faster.
_LEAST_BYTES_PER_S = 50_000

Device = Literal["auto", "cpu", "gpu"]
EngineName = Literal["tensorflow", "fake"]


class ServiceSettings(BaseSettings):
    """Serve a Keras image classifier over HTTP.

    Each option can be given in the environment too: --model-path is SERVICE_MODEL_PATH.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        cli_prog_name="cnn-serve",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        frozen=True,
        protected_namespaces=(),
    )

    host: Annotated[str, Field(description="address to listen on; 0.0.0.0 for every one of this machine")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")] = 8000
    workers: Annotated[int, Field(ge=1, description="processes, each with its own copy of the model")] = 1
    model_path: Annotated[Path, Field(description="the .h5 file to serve, or a folder of them")] = Path(
        "models/best-cnn-model.h5"
    )
    default_model: Annotated[
        str | None, Field(description="which model of a folder answers where none is named; else the first by name")
    ] = None
    model_sha256: Annotated[
        str | None, Field(pattern="^[0-9a-fA-F]{64}$", description="the only SHA-256 that the model file may have")
    ] = None
    watch: Annotated[bool, Field(description="load the model file again when it changes")] = False
    keep_versions: Annotated[int, Field(ge=0, description="previous versions that stay loaded, to roll back to")] = 1
    watchdog_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            description="end a process whose event loop or inference thread makes no progress for so long; another "
            "one takes its place",
        ),
    ] = 30.0
    max_model_bytes: Annotated[int, Field(ge=1, description="largest model file that is loaded")] = 1 << 30
    class_names: Annotated[
        tuple[str, ...], NoDecode, Field(description="names of the classes, by commas, for a file that has no card")
    ] = ()
    engine: Annotated[
        EngineName,
        Field(
            description="what runs the model; fake needs no TensorFlow and answers from an image's first pixels: for "
            "tests of programs that call the service"
        ),
    ] = "tensorflow"
    device: Annotated[
        Device,
        Field(description="where the model runs; gpu refuses to start without one, auto takes one if there is"),
    ] = "auto"
    inference_threads: Annotated[
        int,
        Field(ge=1, description="TensorFlow's threads; one leaves the other cores to the event loop and workers"),
    ] = 1
    max_batch_size: Annotated[int, Field(ge=1, le=1024, description="most images that share one forward pass")] = 64
    batch_wait_ms: Annotated[
        float, Field(ge=0, le=1000, description="how long an image may wait for others to share its forward pass")
    ] = 0.0
    max_queue_size: Annotated[
        int, Field(ge=1, description="most images that may wait for the model; past it the answer is 503")
    ] = 256
    request_timeout_s: Annotated[
        float, Field(gt=0, description="how long an image that was read may take to be answered; past it 504")
    ] = 10.0
    receive_timeout_s: Annotated[
        float,
        Field(gt=0, description="how long a request may take to come and an answer to be read; more for many bytes"),
    ] = 10.0
    drain_timeout_s: Annotated[
        float, Field(ge=1, description="how long a graceful shutdown may take to answer what was accepted")
    ] = 30.0
    max_body_bytes: Annotated[int, Field(ge=1, description="largest request body that is read")] = 10 * 1024 * 1024
    max_image_pixels: Annotated[int, Field(ge=1, description="largest width times height that is decoded")] = 25_000_000
    max_images_per_request: Annotated[int, Field(ge=1, description="most images in one request")] = 64
    api_keys: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")], ...],
        NoDecode,
        Field(description="SHA-256 in hex of each API key, by commas; without any, everybody may call"),
    ] = ()
    requests_per_minute: Annotated[
        int, Field(ge=0, description="most requests of each API key; 0 does not count them")
    ] = 0
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, Field(description="pages of other hosts that may call, by commas; * lets all")
    ] = ()
    access_log: Annotated[bool, Field(description="log a line for each request")] = False
    log_format: Annotated[LogFormat, Field(description="lines for people, or a JSON object a line for programs")] = (
        "text"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="least severe kind of line that is logged")
    ] = "info"

    @model_validator(mode="after")
    def _a_batch_fits_the_queue(self) -> Self:
        if self.max_queue_size < self.max_images_per_request:
            raise ValueError(
                f"--max-queue-size {self.max_queue_size} has no room for the {self.max_images_per_request} images that "
                "--max-images-per-request lets one request bring"
            )
        return self

    @model_validator(mode="after")
    def _a_digest_is_of_one_file(self) -> Self:
        if self.model_sha256 and self.model_path.is_dir():
            raise ValueError(f"--model-sha256 is of one file, and --model-path {self.model_path} is a folder")
        return self

    @field_validator("class_names", "api_keys", "cors_origins", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    def export(self) -> None:
        """Write every setting to the environment, where worker processes read them again."""
        for name, value in self:
            if value is None:
                continue
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            os.environ[ENVIRONMENT_PREFIX + name.upper()] = text


def seconds_for(timeout_s: float, size: int) -> float:
    """How long `size` bytes may take from or to a client: `timeout_s`, and the time of a slow line for all of them."""
    return timeout_s + size / _LEAST_BYTES_PER_S
