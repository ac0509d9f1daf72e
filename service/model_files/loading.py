"""From an untrusted model file to a Keras model that is built, and all that is known of it. Knows no HTTP, no engine.

What is known is put together from the options, the card in the file, the files beside it, and the model itself.
"""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from models.card import ModelCard, ModelFileError, read_card
from models.head import Activation, class_count
from models.pixels import PIXEL_RANGES
from models.reasons import first_line
from models.specification import Facts, Finding, Source, Specification, first_that_says, specify
from service.errors import StorageFailed
from service.model_files.beside import sources_beside
from service.model_files.classifier import Classifier, classifier_of, of_fixed_size
from service.model_files.loss import loss_of
from service.model_files.model_sources import defaults, shown_by_model
from service.model_files.pixel_layers import PixelLayers, pixel_layers
from service.model_files.sizes import APPLICATION_LAYERS, check_sizes, output_sizes
from service.model_files.snapshot import ModelFileLimits, snapshot

_AN_OPTION = "an option"
_MOST_SHOWN = 10


class LoadedModel(NamedTuple):
    """A Keras model that gives (rows, units), its card, where all that was found, and the version of its file.

    `activation` made the units; `bytes_per_image` is what the largest output of a layer takes, as float32.
    """

    model: keras.Model
    card: ModelCard
    findings: tuple[Finding, ...]
    version: str
    activation: Activation | None
    units: int
    bytes_per_image: int


def load_model(path: Path, options: Facts, limits: ModelFileLimits) -> LoadedModel:
    """The model in the file at `path`, which is copied and validated first: see `service.model_files.snapshot`.

    `options` count before all else that is known. Raises ModelFileError, or StorageFailed.
    """
    try:
        return _load(path, options, limits)
    except (ModelFileError, StorageFailed):
        raise
    except Exception as error:  # whatever else an untrusted file brings about ends this load alone
        raise ModelFileError(f"{path} cannot be loaded ({type(error).__name__}: {first_line(error)})") from error


def _load(path: Path, options: Facts, limits: ModelFileLimits) -> LoadedModel:
    with snapshot(path, limits) as snapped:
        copy, version = snapped.path, snapped.version
        card = read_card(copy)
        check_sizes(path, copy)
        model = _loaded(path, copy)
        sources = [Source(options, _AN_OPTION)]
        if card is not None:
            sources.append(Source(Facts.of_card(card), "the card in the file"))
        sources += sources_beside(path)
        if snapped.labels:
            sources.append(Source(Facts(class_names=snapped.labels), "labels.txt in the file"))
        output = first_that_says(sources, "output")
        name = output.facts.output if output else None
        loss = loss_of(copy, name)
    try:
        size = first_that_says(sources, "image_size")
        found = classifier_of(model, name, size.facts.image_size if size else None)
        pixels = pixel_layers(found.model)
        sources += shown_by_model(found, pixels, sources, loss, exported=snapped.labels is not None)
        specification = specify([*sources, *defaults(path, found, sources)], found.input.channels, card)
        _check_fit(found, specification)
        card, findings = specification
        model = of_fixed_size(found.model, card.input.height, card.input.width)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    findings += _scaled_twice(card, pixels, by_option=options.scale is not None)
    return LoadedModel(model, card, findings, version, found.activation, found.units, 4 * max(output_sizes(model)))


def _loaded(path: Path, copy: Path) -> keras.Model:
    try:
        return keras.saving.load_model(copy, custom_objects=APPLICATION_LAYERS, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a model that it cannot build
        raise ModelFileError(
            f"Keras {keras.__version__} cannot load {path} ({first_line(error)}); save it with that version, without "
            "Lambda or custom layers"
        ) from error


def _check_fit(found: Classifier, specification: Specification) -> None:
    card, (height, width, *_) = specification.card, found.input
    sources = {finding.field: finding.source for finding in specification.findings}
    if (height or card.input.height, width or card.input.width) != (card.input.height, card.input.width):
        raise ModelFileError(
            f"{sources['image_size']} says that it takes images of {card.input.height}×{card.input.width}, but the "
            f"model takes {height}×{width}"
        )
    classes = class_count(card.head, found.units)
    if classes < 2:
        raise ModelFileError(f"its one output value cannot be a {card.head}; say with --head what it means")
    if len(card.class_names) != classes:
        raise _other_number_of_names(sources["class_names"], card.class_names, classes)


def _other_number_of_names(source: str, names: tuple[str, ...], classes: int) -> ModelFileError:
    first = f"{', '.join(names[:_MOST_SHOWN])}{', …' if len(names) > _MOST_SHOWN else ''}"
    if source == _AN_OPTION:
        source, to_do = "--class-names or --labels", "give all of them in its order, or neither option"
    else:
        to_do = "give all of them in its order, there or with --class-names"
    return ModelFileError(
        f"{source} names {len(names)} classes, but the model has {classes}; {to_do} (the names are {first})"
    )


def _scaled_twice(card: ModelCard, pixels: PixelLayers, *, by_option: bool) -> tuple[Finding, ...]:
    """What to say where pixels are scaled, and the model scales them, too: a warning, unless it is `by_option`."""
    if pixels.pixels is None or pixels.guessed or np.allclose(card.input.scale, PIXEL_RANGES[pixels.pixels].scale):
        return ()
    source = f"but {pixels.source}; is that meant?"
    return (Finding("pixels", "scaled before the model", source, guessed=not by_option),)
