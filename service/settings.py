"""Every setting of the service: its option, environment name, default and meaning."""

import csv
import io
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from platformdirs import user_cache_path
from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.card import Fit, Interpolation
from models.head import Head
from models.pixels import ChannelOrder, PixelRange
from service.connection_settings import ConnectionSettings, split_by_commas
from service.logs import LogFormat
from service.model_address import check_address

ENVIRONMENT_PREFIX = "SERVICE_"

# What is left of `drain_timeout_s` for the model to end its last call, after clients were answered or given up.
LAST_CALL_S = 0.5

# A phone on a bad connection sends and reads faster.
_LEAST_BYTES_PER_S = 50_000

# What a model is called stands in paths, of which others take parts by : and /.
URL_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"

Device = Literal["auto", "cpu", "gpu"]
EngineName = Literal["auto", "light", "tensorflow", "fake"]


class ModelSettings(BaseSettings):
    """What the options say of a model; whatever they do not say is found in the file and beside it."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        frozen=True,
        protected_namespaces=(),
    )

    class_names: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description='names of the classes in the model\'s order, by commas; "quoted, so" where a name has one'),
    ] = ()
    labels: Annotated[Path | None, Field(description="file with those names, one a line, or class_indices.json")] = None
    head: Annotated[
        Head | None,
        Field(
            description="what the model's output means: probabilities of a softmax, logits, sigmoid (one unit for two "
            "classes, or scores as they are), or multi-label (several may be right)"
        ),
    ] = None
    fit: Annotated[Fit | None, Field(description="how an image of other proportions is made to fit")] = None
    interpolation: Annotated[
        Interpolation | None, Field(description="how an image of another size is resized; see docs/models.md")
    ] = None
    pixels: Annotated[
        PixelRange | None,
        Field(description="what the model takes for pixels of 0 to 255; caffe and torch as in keras.applications"),
    ] = None
    channel_order: Annotated[ChannelOrder | None, Field(description="which of three channels comes first")] = None
    image_size: Annotated[
        str | None,
        Field(pattern=r"^[1-9][0-9]{0,3}(x[1-9][0-9]{0,3})?$", description="for a model of any size: 224, or 180x240"),
    ] = None
    output: Annotated[str | None, Field(description="which output of a model with several is read, by name")] = None
    model_name: Annotated[
        str | None,
        Field(
            pattern=URL_NAME,
            description="the model's name, of letters, digits and ._-; else its card's, or its file's or folder's",
        ),
    ] = None
    label_threshold: Annotated[
        float | None,
        Field(ge=0, le=1, description="from which probability on a class is among a multi-label model's labels"),
    ] = None

    @field_validator("class_names", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            rows = list(csv.reader([value], skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise ValueError(f"it is no CSV ({error}); close each quote, and put a comma between names") from error
        return tuple(name.strip() for row in rows for name in row if name.strip())


class ConversionSettings(ModelSettings):
    """What is needed, beside that, to load a model with the light engine."""

    cache_dir: Annotated[
        Path | None,
        Field(
            description="folder in which models are kept that were converted for the light engine; nobody else may "
            "write there; without it, the one for such things in the user's home"
        ),
    ] = None
    max_model_bytes: Annotated[int, Field(ge=1, description="largest model file that is loaded")] = 1 << 30

    @property
    def converted_models(self) -> Path:
        """The folder in which converted models are kept."""
        return self.cache_dir or user_cache_path("keras-image-service")


class InferenceSettings(ConversionSettings):
    """What is needed, beside that, to decode images and to run a model on them."""

    engine: Annotated[
        EngineName,
        Field(
            description="what runs the model: light is LiteRT, which takes a fifth of TensorFlow's memory; auto is "
            "light but for models that it cannot run, and for a GPU; fake answers from an image's first pixels: for "
            "tests of programs that call the service"
        ),
    ] = "auto"
    device: Annotated[
        Device,
        Field(description="where the model runs; gpu refuses to start without one, auto takes one if there is"),
    ] = "auto"
    inference_threads: Annotated[
        int,
        Field(ge=1, description="threads of a forward pass; one leaves the other cores to the event loop and workers"),
    ] = 1
    max_batch_size: Annotated[int, Field(ge=1, le=1024, description="most images that share one forward pass")] = 64
    max_image_pixels: Annotated[
        int, Field(ge=1, description="largest width times height that is decoded; a HEIC may have 2 times, a JPEG 8")
    ] = 25_000_000


class ServiceSettings(ConnectionSettings, InferenceSettings):
    """Serve a Keras image classifier over HTTP.

    Each option can be given in the environment too: --model-path is SERVICE_MODEL_PATH.
    """

    model_config = SettingsConfigDict(cli_prog_name="cnn-serve")

    workers: Annotated[int, Field(ge=1, description="processes, each with its own copy of the model")] = 1
    model_path: Annotated[
        str,
        BeforeValidator(str),
        Field(
            description="the .keras, .h5 or Teachable Machine file to serve, a folder of them or of numbered versions, "
            "or the address of one: https, s3, gs, hf, or models:/ in MLflow"
        ),
    ] = "models/best-cnn-model.h5"
    default_model: Annotated[
        str | None, Field(description="which model of a folder answers where none is named; else the first by name")
    ] = None
    model_sha256: Annotated[
        str | None, Field(pattern="^[0-9a-fA-F]{64}$", description="the only SHA-256 that the model file may have")
    ] = None
    watch: Annotated[bool, Field(description="load the model file again when it changes")] = False
    replicated: Annotated[
        bool,
        Field(
            description="this is one of several replicas behind one address: calls that load, unload or roll back, "
            "which would reach only one of them, are answered with 501"
        ),
    ] = False
    watch_interval_s: Annotated[
        float, Field(gt=0, description="with --watch: how often a model that lies elsewhere is looked for")
    ] = 60.0
    download_timeout_s: Annotated[
        float, Field(gt=0, description="how long it may take to fetch a model that lies elsewhere")
    ] = 600.0
    keep_versions: Annotated[int, Field(ge=0, description="previous versions that stay loaded, to roll back to")] = 1
    watchdog_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            description="end a process whose event loop or inference thread makes no progress for so long; another "
            "one takes its place",
        ),
    ] = 30.0
    batch_wait_ms: Annotated[
        float, Field(ge=0, le=1000, description="how long an image may wait for others to share its forward pass")
    ] = 0.0
    max_queue_size: Annotated[
        int, Field(ge=1, description="most images that may wait to be decoded, and for the model; past it 503")
    ] = 256
    max_waiting_bytes: Annotated[
        int,
        Field(
            ge=1,
            description="most bytes of requests that may wait, to come to their end or to be decoded; past it 503",
        ),
    ] = 320 * 1024 * 1024
    request_timeout_s: Annotated[
        float, Field(gt=0, description="how long an image that was read may take to be answered; past it 504")
    ] = 10.0
    drain_timeout_s: Annotated[
        float, Field(ge=1, description="how long a graceful shutdown may take to answer what was accepted")
    ] = 30.0
    max_body_bytes: Annotated[int, Field(ge=1, description="largest request body that is read")] = 10 * 1024 * 1024
    max_images_per_request: Annotated[int, Field(ge=1, description="most images in one request")] = 64
    api_keys: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")], ...],
        NoDecode,
        Field(description="SHA-256 in hex of each API key, by commas; without any, everybody may call"),
    ] = ()
    requests_per_minute: Annotated[
        int, Field(ge=0, description="most requests of each API key; 0 does not count them")
    ] = 0
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
    def _a_body_may_wait(self) -> Self:
        if self.max_waiting_bytes < self.max_body_bytes:
            raise ValueError(
                f"--max-waiting-bytes {self.max_waiting_bytes} has no room for one body of --max-body-bytes "
                f"{self.max_body_bytes}"
            )
        return self

    @model_validator(mode="after")
    def _a_model_that_can_be_fetched(self) -> Self:
        check_address(self.model_path)
        return self

    @model_validator(mode="after")
    def _a_digest_is_of_one_file(self) -> Self:
        if self.model_sha256 and self.model_place.is_dir():
            raise ValueError(f"--model-sha256 is of one file, and --model-path {self.model_path} is a folder")
        return self

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_by_commas(value)

    @property
    def model_place(self) -> Path:
        """`model_path` as a path of this machine; where it is an address, what it leads to is fetched first."""
        return Path(self.model_path)

    def export(self) -> None:
        """Write every setting to the environment, where worker processes read them again."""
        for name, value in self:
            if value is None:
                continue
            text = csv_row(value) if isinstance(value, tuple) else str(value)
            os.environ[ENVIRONMENT_PREFIX + name.upper()] = text


def csv_row(values: tuple[str, ...]) -> str:
    """By commas, quoted where a value has one."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def seconds_for(timeout_s: float, size: int) -> float:
    """How long `size` bytes may take from or to a client: `timeout_s`, and the time of a slow line for all of them."""
    return timeout_s + size / _LEAST_BYTES_PER_S
