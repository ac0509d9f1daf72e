"""The card that pictures speak for, and the options that say the same. Knows no Keras and no table."""

import shlex
from collections.abc import Sequence

from models.card import ModelCard
from models.pixels import channel_order_of
from models.specification import Finding
from service.check.hypotheses import pixels_of
from service.check.judgement import Judgement
from service.check.normalization import Opinion
from service.settings import ModelSettings, csv_row


def card_by_judgement(
    card: ModelCard, findings: Sequence[Finding], judgement: Judgement, folders: Sequence[str]
) -> ModelCard:
    """`card` with what the pictures tell; as it is where they tell nothing."""
    if not judgement.better_than_chance:
        return card
    names = _names(card, findings, judgement, folders)
    return changed(card, {"input": judgement.chosen.input, "class_names": names})


def card_by_opinion(card: ModelCard, opinion: Opinion | None) -> ModelCard:
    """`card` with what the normalization tells; as it is where it tells nothing."""
    if opinion is None or opinion.pixels is None:
        return card
    nearest = opinion.nearest
    told: dict[str, object] = {"scale": nearest.scale, "offset": nearest.offset}
    if order := channel_order_of(opinion.pixels) or opinion.channel_order:
        told["channel_order"] = order
    return changed(card, {"input": card.input.model_copy(update=told)})


def changed(card: ModelCard, told: dict[str, object]) -> ModelCard:
    """`card` with what was found out; without what was measured of the model as it was understood before."""
    if all(getattr(card, field) == value for field, value in told.items()):
        return card
    kept = {field: getattr(card, field) for field in ModelCard.model_fields}
    return ModelCard.model_validate({**kept, "evaluation": None, "familiarity": None, **told})


def options_for(settings: ModelSettings, old: ModelCard, new: ModelCard) -> str:
    """The options of the service by which the model is as `new` says: those in `settings`, by which it is as `old`.

    Empty where it needs none.
    """
    said = {name: value for name in ModelSettings.model_fields if (value := getattr(settings, name)) not in (None, ())}
    before, after = old.input, new.input
    if pixels_of(before) != pixels_of(after):
        said["pixels"] = pixels_of(after)
    for field in ("channel_order", "fit", "interpolation"):
        if getattr(before, field) != getattr(after, field):
            said[field] = getattr(after, field)
    if old.class_names != new.class_names:
        said.pop("labels", None)
        said["class_names"] = new.class_names
    return shlex.join(word for name, value in said.items() for word in _option(name, value))


def _option(name: str, value: object) -> tuple[str, ...]:
    option, text = f"--{name.replace('_', '-')}", csv_row(value) if isinstance(value, tuple) else str(value)
    return (f"{option}={text}",) if text.startswith("-") else (option, text)


def _names(
    card: ModelCard, findings: Sequence[Finding], judgement: Judgement, folders: Sequence[str]
) -> tuple[str, ...]:
    """The folders' names in the order of the outputs, where the model's own are missing or in the wrong order."""
    order = judgement.chosen.order
    guessed = any(finding.guessed for finding in findings if finding.field == "class_names")
    misplaced = order.suggested and judgement.assumed.order.words == "by name"
    whole = len(folders) == len(card.class_names)
    if not whole or not (guessed or misplaced) or "class_names" in judgement.open:
        return card.class_names
    places = dict(zip(order.outputs, folders, strict=True))
    return tuple(places[output] for output in range(len(folders)))
