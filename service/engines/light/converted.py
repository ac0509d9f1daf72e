"""What is asked of the converter, and what it leaves: a file for LiteRT, and beside it all that is known of the model.

Knows neither Keras nor LiteRT.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from models.card import ModelCard
from models.file_version import VERSION_DIGITS, sha256_of
from models.reasons import first_line
from models.regular_files import read_regular
from models.specification import Facts, Finding
from service.engines.model_summary import ModelSummary

# What the converter's process ends with where there is no result; Python itself ends with 1 or 2.
REFUSED, NO_STORAGE = 10, 11
MODEL, DESCRIPTION = "model.tflite", "description.json"
_MOST_DESCRIPTION_BYTES = 64 << 20


class StaleConversion(Exception):
    """What lies there is not what was put there."""


class ConversionRequest(BaseModel):
    """Which file is to be converted, what the options say of it, and where the result goes: an empty folder."""

    model_config = ConfigDict(frozen=True)

    path: Path
    folder: Path
    options: Facts
    max_bytes: int
    sha256: str


class ConvertedModel(BaseModel):
    """All that is known of a model but what it computes."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    card: ModelCard
    findings: tuple[Finding, ...]
    summary: ModelSummary
    units: int
    embedding_dimension: int | None
    sums_to_one: bool
    outputs: Annotated[tuple[str, ...], Field(description="names of the fields of EngineOutput, as LiteRT orders them")]
    most_rows: Annotated[int, Field(description="that share a call")]
    difference: Annotated[float, Field(description="the largest to Keras's probabilities, of the images compared")]


class ConversionResult(BaseModel):
    """What became of the model file with that `sha256`: a model, or the `reason` why only TensorFlow can run it."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    model: ConvertedModel | None = None
    digest: Annotated[str | None, Field(description="SHA-256 of the file for LiteRT")] = None
    reason: str | None = None

    @property
    def version(self) -> str:
        """The version of the model file."""
        return self.sha256[:VERSION_DIGITS]

    def write(self, folder: Path) -> None:
        """Put it into `folder`. Raises OSError."""
        (folder / DESCRIPTION).write_text(self.model_dump_json(), "utf-8")

    @classmethod
    def read(cls, folder: Path, sha256: str) -> Self:
        """The one of that model file, in `folder`. Raises StaleConversion where anything is not as it was written."""
        try:
            found = cls.model_validate_json(read_regular(folder / DESCRIPTION, _MOST_DESCRIPTION_BYTES))
            same = found.sha256 == sha256 and (found.model is None or found.digest == sha256_of(folder / MODEL))
        except (OSError, ValueError) as error:
            raise StaleConversion(f"{folder} cannot be read ({first_line(error)})") from error
        if not same:
            raise StaleConversion(f"{folder} is not what was converted")
        return found
