"""Every setting of `cnn-predict`: its option, environment name, default and meaning. Knows no model and no picture."""

import json
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import CliPositionalArg, CliSettingsSource, SettingsConfigDict

from models.preprocessing import PreparationChoice
from service.settings import InferenceSettings, ModelSettings

_MOST_CONCURRENCY = 256


class PredictSettings(InferenceSettings):
    """Answer for many pictures: in this program, or by a service that runs elsewhere (--url).

    Killed or stopped, the same command goes on where it was. Exits with 0 (the answers are written; pictures that
    cannot be used are among them with their problem), 1 (stopped before the end; the line says why), 2 (wrong
    arguments), 3 (the model cannot be loaded) or 130 (interrupted). Each option can be given in the environment too,
    by the service's names: --model-path is SERVICE_MODEL_PATH.
    """

    model_config = SettingsConfigDict(cli_prog_name="cnn-predict", cli_shortcuts={"answers": "o"})

    inputs: Annotated[
        CliPositionalArg[tuple[str, ...]],
        Field(min_length=1, description="folders, with all that is below them; files; or - for paths that are read"),
    ]
    answers: Annotated[Path, Field(description="the table to write, which ends in .csv, .jsonl or .parquet")]
    url: Annotated[
        str | None, Field(description="the service that answers, http://…; without it the model runs in this program")
    ] = None
    model: Annotated[
        str | None, Field(description="which model of the service at --url, where it serves several, by name")
    ] = None
    api_key: Annotated[
        SecretStr | None,
        Field(description="the key for that service; better in the environment, as other users see command lines"),
    ] = None
    concurrency: Annotated[int, Field(ge=1, le=_MOST_CONCURRENCY, description="requests to the service at a time")] = 8
    timeout_s: Annotated[
        float, Field(gt=0, description="how long one request, or one explanation, may take before it is tried again")
    ] = 60.0
    give_up_after_s: Annotated[
        float, Field(ge=0, description="how long a service may answer nothing at all, or ask to wait, before we stop")
    ] = 300.0
    model_path: Annotated[
        Path, Field(description="without --url: the .keras, .h5 or Teachable Machine file that answers")
    ] = Path("models/best-cnn-model.h5")
    max_body_bytes: Annotated[int, Field(ge=1, description="largest picture file that is read")] = 10 * 1024 * 1024
    preparation: Annotated[
        PreparationChoice,
        Field(description="auto: as the model's card says; none: only scaled to its size and colours"),
    ] = "auto"
    top_k: Annotated[int, Field(ge=1, le=1000, description="how many of the most probable classes to write")] = 1
    embeddings: Annotated[
        bool, Field(description="write the embedding of each picture, too, for search by likeness")
    ] = False
    explain: Annotated[
        Path | None, Field(description="folder for a drawing of each picture that shows what its answer rests on")
    ] = None
    move_to: Annotated[
        Path | None,
        Field(description="folder into which the pictures are moved at the end, into a subfolder for each class"),
    ] = None
    restart: Annotated[bool, Field(description="begin anew where an earlier run was stopped")] = False
    overwrite: Annotated[bool, Field(description="replace a table, or drawings, of an earlier run")] = False

    @field_validator("url")
    @classmethod
    def _is_a_service(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
            raise ValueError("expected the address of a service, such as http://127.0.0.1:8000")
        return value and value.rstrip("/")

    @model_validator(mode="after")
    def _the_service_knows_its_model(self) -> Self:
        given = sorted(self.model_fields_set & set(ModelSettings.model_fields))
        if self.url and given:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ValueError(f"{options} and --url do not go together: the service says how its model is used")
        if self.model and not self.url:
            raise ValueError("--model is of the service at --url; name the model's file with --model-path")
        return self


class PathsAsTheyAre(CliSettingsSource[PredictSettings]):
    """The command line, of which paths are taken as they are: with commas, brackets and line breaks in them."""

    def _merge_parsed_list(self, parsed_list: list[str], field_name: str) -> str:
        return (
            json.dumps(parsed_list) if field_name == "inputs" else super()._merge_parsed_list(parsed_list, field_name)
        )
