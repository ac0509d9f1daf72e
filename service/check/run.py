"""One check: load the model as the service does, ask the pictures, print, write the copy. Knows no command line."""

from collections.abc import Callable, Mapping

import numpy as np
from rich.console import Console
from rich.progress import Progress

from models.card import ImageInput, ModelCard
from models.specification import Facts
from service.check import report
from service.check.card_copy import check_target, write_copy
from service.check.conclusion import card_by_judgement, card_by_opinion, options_for
from service.check.errors import CheckError
from service.check.hypotheses import fits_to_try, inputs_to_try, interpolations_to_try, that_differ
from service.check.judgement import Judgement, judged
from service.check.normalization import Opinion, opinion
from service.check.orders import Order, orders_to_try
from service.check.pictures import Chosen, Pictures, chosen, decoded, resizing_of
from service.check.scoring import Result, results
from service.check.settings import CheckSettings
from service.engines.tensorflow import TensorFlowEngine
from service.model_files.loading import LoadedModel, load_model
from service.model_files.options import facts_of
from service.model_files.snapshot import ModelFileLimits

_BATCH = 32

# The pictures, resized as each of several inputs asks.
Read = Callable[[list[ImageInput]], Pictures]


def check(settings: CheckSettings, console: Console, progress_console: Console) -> bool:
    """Print all that is found out, and return whether something is guessed at the end.

    With a copy written, that is whether something of the copy is; else whether something of the model is. Raises
    CheckError, ModelFileError, StorageFailed.
    """
    options, limits = facts_of(settings), ModelFileLimits(settings.max_model_bytes)
    if settings.write_card:
        check_target(settings.model, settings.write_card, settings.force)
    found = chosen(settings.pictures) if settings.pictures else None
    loaded = load_model(settings.model, options, limits)
    report.print_findings(console, settings.model, loaded.findings)
    guessed = list(dict.fromkeys(finding.field for finding in loaded.findings if finding.guessed))
    card, told = loaded.card, set[str]()
    if found:
        with Progress(console=progress_console, transient=True, disable=not progress_console.is_terminal) as progress:
            most = min(settings.most, len(found.files))

            def read(inputs: list[ImageInput]) -> Pictures:
                reading = progress.add_task("reading pictures", total=most)
                return decoded(found, most, inputs, lambda: progress.advance(reading))

            card, told = _asked(loaded, options, found, read, console, progress)
    else:
        report.print_hint(console, loaded.findings)
    report.print_options(console, settings.model, options_for(settings, loaded.card, card))
    if settings.write_card is None:
        return card != loaded.card or bool(guessed)
    card = card.model_copy(update={"assumed": tuple(field for field in guessed if field not in told)})
    still = write_copy(settings.model, settings.write_card, card, limits)
    report.print_copy(console, settings.write_card, card, still)
    return bool(still)


def _asked(
    loaded: LoadedModel, options: Facts, found: Chosen, read: Read, console: Console, progress: Progress
) -> tuple[ModelCard, set[str]]:
    """The card that the pictures speak for, and the fields of which they do."""
    card = loaded.card
    pictures = read(fits_to_try(card.input, options) if found.folders else [card.input])
    if pictures.skipped:
        console.print(f"{len(pictures.skipped):,} files cannot be read as pictures and are left out.")
    second = _opinion(loaded, options, pictures)
    if not pictures.folders:
        report.print_opinion(console, second, second=False)
        return card_by_opinion(card, second), _fields(second)
    if card.head == "multi-label":
        console.print(
            "Several classes of this model may be right at once, which folders do not tell: neither an order of the "
            "classes nor a fit is tried."
        )
        report.print_opinion(console, second, second=False)
        return card_by_opinion(card, second), _fields(second)
    judgement = _judged(loaded, options, pictures, read, second.told if second else {}, progress)
    report.print_judgement(console, judgement, card.input.channels == 3)
    report.print_opinion(console, second, second=True)
    told = {*judgement.told, *judgement.by_normalization}
    if judgement.better_than_chance and "class_names" not in judgement.open:
        told.add("class_names")
    return card_by_judgement(card, loaded.findings, judgement, pictures.folders), told


def _fields(second: Opinion | None) -> set[str]:
    return {field for field, value in second.told.items() if value} if second else set()


def _judged(
    loaded: LoadedModel,
    options: Facts,
    pictures: Pictures,
    read: Read,
    told: Mapping[str, str | None],
    progress: Progress,
) -> Judgement:
    """Every combination but of interpolations; and these with the combination that is best."""
    card, labels, folders = loaded.card, pictures.labels, pictures.folders
    orders = _orders(card, options, folders)
    fixed = options.class_names is not None
    predict = TensorFlowEngine(loaded, "CPU", _BATCH).predict
    trying = progress.add_task("trying combinations", total=None)

    def tried(pictures: Pictures, inputs: list[ImageInput]) -> list[Result]:
        return results(predict, pictures, inputs, orders, not fixed, lambda: progress.advance(trying))

    def judge(found: list[Result]) -> Judgement:
        assumed = orders[0] if orders else None
        return judged(found, (card.input, assumed), float(np.bincount(labels).max() / len(labels)), told)

    fits = that_differ(fits_to_try(card.input, options), pictures.pixels)
    inputs = inputs_to_try(card.input, options, [one.fit for one in fits])
    progress.update(trying, total=len(inputs))
    found = tried(pictures, inputs)
    if not found:
        raise CheckError(
            f"--pictures has {len(folders)} subfolders whose names are not among the model's {len(card.class_names)} "
            "classes, and too few pictures to tell which is which; name them as the classes, or add pictures"
        )
    judgement = judge(found)
    interpolations = interpolations_to_try(judgement.chosen.input, options)
    if not judgement.better_than_chance or len(interpolations) == 1:
        return judgement
    resized = read(interpolations)
    _, *others = that_differ(interpolations, resized.pixels)
    progress.update(trying, total=len(inputs) + len(others))
    order = judgement.chosen.order.words
    return judge(found + [one for one in tried(resized, others) if one.order.words == order])


def _orders(card: ModelCard, options: Facts, folders: tuple[str, ...]) -> list[Order]:
    """The orders of the classes to try. Raises CheckError where the folders cannot be the model's classes."""
    if len(folders) > len(card.class_names):
        raise CheckError(
            f"--pictures has {len(folders)} subfolders, but the model {len(card.class_names)} classes; expected one "
            "for each class, with its pictures"
        )
    orders = orders_to_try(folders, card.class_names)
    if options.class_names is not None and [order.words for order in orders] != ["by name"]:
        raise CheckError(
            f"the subfolders {', '.join(folders[:5])} … have other names than the classes that were given, "
            f"{', '.join(card.class_names[:5])} …; rename them, or leave the names out to have the order told"
        )
    return orders


def _opinion(loaded: LoadedModel, options: Facts, pictures: Pictures) -> Opinion | None:
    taken = loaded.card.input
    return opinion(loaded.model, pictures.pixels[resizing_of(taken)], inputs_to_try(taken, options, [taken.fit]))
