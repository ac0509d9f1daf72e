"""What is known about a model, put together from several sources of which the first that speaks counts.

Knows neither Keras nor what the sources are: who calls says that, in the order in which they count.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.card import Fit, ImageInput, Interpolation, ModelCard, ModelFileError, Preparation, Share
from models.head import Head
from models.pixels import PIXEL_RANGES, ChannelOrder, PerChannel, PixelRange, pixel_range_of
from models.printable import printable

_MOST_SHOWN = 10
# What a person reads as one thing.
_TOGETHER = {"pixels": ("scale", "offset")}
_TOLD_BY_PICTURES = {"class_names", "pixels", "channel_order", "fit", "interpolation"}


class Facts(BaseModel):
    """What one source says of a model; None wherever it says nothing. The words are those of the options.

    Raises ValidationError for a contradiction, as `pixels` caffe with the channels in the order rgb.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str | None = None
    class_names: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    head: Head | None = None
    output: str | None = None
    label_threshold: Share | None = None
    image_size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    channel_order: ChannelOrder | None = None
    fit: Fit | None = None
    interpolation: Interpolation | None = None
    pixels: PixelRange | None = None
    scale: PerChannel | None = None
    offset: PerChannel | None = None
    preparation: Preparation | None = None

    @model_validator(mode="before")
    @classmethod
    def _pixels_in_numbers(cls, given: Any) -> Any:
        """`pixels` is a word for scale, offset and perhaps the order of the channels."""
        word = given.get("pixels") if isinstance(given, dict) else None
        if word not in PIXEL_RANGES:
            return given
        known = PIXEL_RANGES[word]
        order = given.get("channel_order") or known.channel_order
        if known.channel_order not in (None, order):
            raise ValueError(f"pixels {word} are in the channel order {known.channel_order}, not {order}")
        return {**given, "scale": known.scale, "offset": known.offset, "channel_order": order}

    @model_validator(mode="after")
    def _scale_and_offset_are_one_thing(self) -> Self:
        if (self.scale is None) != (self.offset is None):
            raise ValueError("scale and offset are only known together")
        return self

    @classmethod
    def of_card(cls, card: ModelCard) -> Self:
        """All that a card knows, but for its data, training and evaluation: nothing that it only assumes."""
        taken = card.input
        facts = cls(
            name=card.name,
            class_names=card.class_names,
            head=card.head,
            output=card.output,
            label_threshold=card.label_threshold,
            image_size=(taken.height, taken.width),
            channel_order=taken.channel_order,
            fit=taken.fit,
            interpolation=taken.interpolation,
            scale=taken.scale,
            offset=taken.offset,
            preparation=taken.preparation,
        )
        assumed = {name for field in card.assumed for name in _TOGETHER.get(field, (field,))}
        return facts.model_copy(update=dict.fromkeys(assumed))


class Source(NamedTuple):
    """Facts, in words where they come from, and whether they are only a guess."""

    facts: Facts
    words: str
    guessed: bool = False


class Finding(NamedTuple):
    """One thing that is known of a model, as a person reads it, where it comes from, and whether that is a guess."""

    field: str
    value: str
    source: str
    guessed: bool

    @property
    def option(self) -> str:
        """The option that says otherwise."""
        return f"--{self.field.replace('_', '-')}"

    @property
    def told_by_pictures(self) -> bool:
        """Whether pictures of which the answers are known can tell it."""
        return self.field in _TOLD_BY_PICTURES


class Specification(NamedTuple):
    """The model's card, and what of it was found where."""

    card: ModelCard
    findings: tuple[Finding, ...]


def first_that_says(sources: Sequence[Source], field: str) -> Source | None:
    """The first source that says something of `field`."""
    return next((source for source in sources if getattr(source.facts, field) is not None), None)


def specify(sources: Sequence[Source], channels: int, card: ModelCard | None) -> Specification:
    """The card of a model that takes images of `channels`, from `sources`; the first that says something counts.

    The rest of `card`, which the file has, is kept. Raises ModelFileError where what they say makes no card, and
    ValueError where none of them says a thing that every card has.
    """
    found = {field: first_that_says(sources, field) for field in Facts.model_fields if field != "pixels"}

    def value(field: str) -> Any:
        source = found[field]
        return getattr(source.facts, field) if source else None

    size = value("image_size")
    given: dict[str, Any] = {
        field: value(field)
        for field in ("scale", "offset", "fit", "interpolation", "preparation", "channel_order")
        if value(field) is not None
    }
    try:
        taken = ImageInput.model_validate({"height": size[0], "width": size[1], "channels": channels, **given})
        said = {
            field: value(field)
            for field in ("name", "class_names", "head", "output", "label_threshold")
            if value(field) is not None
        }
        known = card.model_dump(exclude={"input"}) if card else {}
        whole = ModelCard.model_validate({**known, **said, "input": taken})
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise ModelFileError(f"what is known of the model does not fit: {place} {error.errors()[0]['msg']}") from error
    findings = tuple(_findings(found, whole))
    assumed = tuple(finding.field for finding in findings if finding.guessed)
    return Specification(whole.model_copy(update={"assumed": assumed}), findings)


def _findings(found: dict[str, Source | None], card: ModelCard) -> list[Finding]:
    taken = card.input
    shown = {
        "class_names": _listed(card.class_names),
        "head": card.head,
        "output": card.output,
        "image_size": f"{taken.height}×{taken.width}×{taken.channels}",
        "scale": pixel_range_of(taken.scale, taken.offset),
        "channel_order": taken.channel_order if taken.channels == 3 else None,
        "fit": taken.fit,
        "interpolation": taken.interpolation,
        "preparation": taken.preparation if taken.preparation != "resize" else None,
    }
    names = {"scale": "pixels"}
    return [
        Finding(names.get(field, field), printable(text), printable(source.words), source.guessed)
        for field, text in shown.items()
        if text is not None and (source := found[field]) is not None
    ]


def _listed(names: tuple[str, ...]) -> str:
    """As `--class-names` takes them, but for all beyond the first few."""
    more = f", … ({len(names)} in all)" if len(names) > _MOST_SHOWN else ""
    shown = (f'"{name}"' if "," in name else name for name in names[:_MOST_SHOWN])
    return ", ".join(shown) + more
