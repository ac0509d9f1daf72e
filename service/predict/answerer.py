"""What answers for pictures: the model in this program, or a service elsewhere. Knows neither, and no file."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypedDict

ProblemKind = Literal["unreadable", "empty", "not a picture", "cannot be decoded", "too large", "failed"]


class Problem(NamedTuple):
    """Why a picture has no answer. Of `failed` the picture need not be the reason."""

    kind: ProblemKind
    detail: str


class ModelName(TypedDict):
    """Which model answered; `version` are the first 12 hex digits of its file's SHA-256."""

    name: str
    version: str


# What the service answers at /predict: label, index, probability, familiarity, probabilities, and of a multi-label
# model labels; and `model`, a ModelName.
Answer = Mapping[str, Any]


class Answerer(Protocol):
    """Answers for several pictures at a time. All methods belong to one event loop."""

    pictures_at_once: int
    """Most that are asked for together."""
    calls_at_once: int
    """How many calls of `answer` run beside each other, so that nothing that works is idle."""
    explanations_at_once: int

    async def answer(self, pictures: Sequence[bytes]) -> list[Answer | Problem]:
        """One for each encoded picture, in order. Raises Stopped, WrongUse."""

    async def explain(self, picture: bytes) -> bytes:
        """A PNG that shows what the answer for it rests on. Raises Stopped, WrongUse."""

    async def close(self) -> None:
        """Let go of all that is held."""
