"""What `cnn-check` prints: tables, and sentences below them. Knows no Keras, and decides nothing."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.card import ModelCard
from models.printable import printable
from models.specification import Finding
from service.check.hypotheses import pixels_of
from service.check.judgement import Judgement, value_of
from service.check.normalization import Opinion
from service.check.scoring import Result

_MOST_ROWS = 10
_WHAT_TO_DO = {
    "class_names": "--class-names or --labels; or a labels.txt or class_indices.json beside the model",
    "head": "--head softmax, logits, sigmoid or multi-label",
    "image_size": "--image-size, as 224 or 180x240",
    "pixels": "--pixels 0..1, -1..1, 0..255, caffe or torch, as the training scaled them",
    "channel_order": "--channel-order rgb, or bgr where OpenCV read the training pictures",
    "fit": "--fit stretch, crop or pad, as the training resized pictures",
    "interpolation": "--interpolation, as your code resized them; see docs/models.md",
}
_WHY_NOT = {
    True: "even with the nearest the pictures are unlike those of the training",
    False: "no pixels come much nearer than all others",
}


def print_findings(console: Console, model: Path, findings: Sequence[Finding]) -> None:
    """Everything that would be assumed of the model, and what to do about what is guessed."""
    console.print(f"What the service would assume of {printable(model.name)}")
    table = Table()
    for heading in ("field", "value", "source", ""):
        table.add_column(heading, overflow="fold")
    for field, value, source, guessed in findings:
        table.add_row(field, value, source, "guessed" if guessed else "", style="yellow" if guessed else "")
    console.print(table)
    guessed_fields = list(dict.fromkeys(finding.field for finding in findings if finding.guessed))
    if not guessed_fields:
        console.print("Nothing is guessed.")
        return
    console.print(f"Guessed: {', '.join(guessed_fields)}. Where you know better, say so:")
    for field in guessed_fields:
        console.print(f"  {field}: {_WHAT_TO_DO.get(field, 'an option, or a card')}", soft_wrap=True)
    console.print(
        f"Or write it into {printable(model.stem)}.card.json beside the model, or into a copy with --write-card."
    )


def print_hint(console: Console, findings: Sequence[Finding]) -> None:
    """That pictures would tell more, where they would."""
    if any(finding.guessed and finding.told_by_pictures for finding in findings):
        console.print("Or let pictures tell: --pictures FOLDER, best with a subfolder for each class.")


def print_judgement(console: Console, judgement: Judgement, three_channels: bool) -> None:
    """The best combinations, and in sentences what they tell."""
    count = len(judgement.chosen.right)
    console.print(f"Right answers on {count:,} pictures; the loss is the mean cross-entropy")
    table = Table()
    for heading in ("pixels", "channels", "fit", "classes", "right", "loss", ""):
        table.add_column(heading, justify="right" if heading in ("right", "loss") else "left")
    shown = list(judgement.ranked[:_MOST_ROWS])
    shown += [one for one in (judgement.chosen, judgement.assumed) if not any(one is other for other in shown)]
    for place, one in enumerate({id(one): one for one in shown}.values()):
        marks = [
            word
            for word, marked in (("best", judgement.chosen), ("assumed", judgement.assumed))
            if marked is one and (word != "best" or judgement.better_than_chance)
        ]
        order = value_of("channel_order", one) if three_channels else "grey"
        table.add_row(
            pixels_of(one.input),
            order,
            f"{one.input.fit}, {one.input.interpolation}",
            one.order.words,
            f"{one.right_count}",
            f"{one.cross_entropy:.3f}",
            ", ".join(marks),
            style="bold" if "best" in marks else "",
            end_section=place == _MOST_ROWS - 1,
        )
    console.print(table)
    if (more := len(judgement.ranked) - len(shown)) > 0:
        console.print(f"{more} more combinations were tried.")
    _print_sentences(console, judgement)


def _print_sentences(console: Console, judgement: Judgement) -> None:
    chosen, assumed = judgement.chosen, judgement.assumed
    count = len(chosen.right)
    if not judgement.better_than_chance:
        console.print(
            f"No combination is better than chance: the best has {judgement.ranked[0].right_count} of {count:,} "
            "pictures right. Either the pictures are of another kind than those of the training, or the model takes "
            "something that is not tried here."
        )
        return
    if chosen is assumed:
        console.print(
            f"What is assumed fits best, or as well as the best: {chosen.right_count} of {count:,} are right."
        )
    else:
        words = ", ".join(f"{field} {value_of(field, chosen)}" for field in judgement.changed)
        console.print(
            f"Best is {words}: {chosen.right_count} of {count:,} are right, and {assumed.right_count} as assumed now."
        )
    for field in judgement.told:
        console.print(f"  {field}: clear, {_rival(judgement, field)}", soft_wrap=True)
    for field in judgement.by_normalization:
        console.print(
            f"  {field}: {value_of(field, chosen)}, by the second opinion; by right answers alone others are as likely",
            soft_wrap=True,
        )
    for field, values in judgement.open.items():
        *rest, last = values
        console.print(
            f"  {field}: cannot be told from these pictures; {', '.join(rest)}, {last} differ no more than by chance",
            soft_wrap=True,
        )
    if chosen.order.suggested:
        console.print(
            "The order of the classes is only what the pictures suggest; see that the folders have the right names."
        )


def _rival(judgement: Judgement, field: str) -> str:
    value = value_of(field, judgement.chosen)
    other: Result = next(one for one in judgement.ranked if value_of(field, one) != value)
    has = f"{other.right_count} right, loss {other.cross_entropy:.3f}"
    return f"{value}: the best with another value, {value_of(field, other)}, has {has}"


def print_opinion(console: Console, opinion: Opinion | None, second: bool) -> None:
    """What the normalization of the model says of the pictures; as a `second` opinion in one sentence."""
    lead = "A second opinion, from what the normalization of the model remembers: " if second else ""
    if opinion is None:
        if not second:
            console.print(
                "Pictures without subfolders tell something only of a model with a BatchNormalization layer, and this "
                "one has none; put the pictures of each class into a subfolder."
            )
        return
    if not second:
        console.print("How far the pictures are from what the first normalization remembers")
        table = Table()
        for heading in ("pixels", "channels"):
            table.add_column(heading)
        table.add_column("distance", justify="right")
        for taken, distance in opinion.distances:
            table.add_row(pixels_of(taken), taken.channel_order if taken.channels == 3 else "grey", f"{distance:.4f}")
        console.print(table)
    if opinion.pixels is None:
        console.print(f"{lead}what fits cannot be told, for {_WHY_NOT[opinion.nearest_is_far]}.")
        return
    told = f", channel order {opinion.channel_order}"
    order = told if opinion.channel_order else ", and the order of the channels cannot be told"
    console.print(f"{lead}pixels {opinion.pixels}{order if opinion.nearest.channels == 3 else ''}.")


def print_options(console: Console, model: Path, options: str) -> None:
    """The command that serves the model so."""
    if options:
        console.print("To serve it as it was checked:")
        console.print(printable(f"  cnn-serve --model-path {model} {options}"), soft_wrap=True, markup=False)


def print_copy(console: Console, target: Path, card: ModelCard, still: Sequence[Finding]) -> None:
    """What was written, and what of it is still a guess, or that it needs no option."""
    console.print(f"{printable(str(target))} is written: a copy whose card says all this.")
    for finding in still:
        console.print(f"Still a guess, of which the service will warn: {finding.field}: {finding.value}")
    if not still:
        console.print(f"It loads as {printable(card.name)}, and nothing of it is guessed: it needs no option.")
