"""From an untrusted model file to a Keras model that is built, and all that is known of it. Knows no HTTP, no engine.

What is known is put together from the options, the card in the file, the files beside it, and the model itself.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from models.card import ModelCard, ModelFileError, read_card
from models.head import Activation, are_probabilities, guess_head
from models.specification import Facts, Finding, Source, Specification, first_that_says, specify
from service.model_files.beside import sources_beside
from service.model_files.classifier import Classifier, classifier_of
from service.model_files.description import layers_of, loss_of
from service.model_files.pixel_layers import pixel_layers
from service.model_files.snapshot import ModelFileLimits, snapshot
from service.model_files.teachable_machine import FACTS, WORDS, is_teachable_machine

MOST_PARAMETERS = 500_000_000
MOST_BYTES_OF_A_LAYER = 2 << 30
DEFAULT_IMAGE_SIZE = (224, 224)
_DEFAULT = "the default: nothing says otherwise"
_MOST_OF_A_REASON = 200


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
    with snapshot(path, limits) as (copy, version):
        card = read_card(copy)
        _check_sizes(path, copy)
        model = _loaded(path, copy)
        sources = [Source(options, "an option")]
        if card is not None:
            sources.append(Source(Facts.of_card(card), "the card in the file"))
        sources += sources_beside(path)
        output = first_that_says(sources, "output")
        name = output.facts.output if output else None
        loss = loss_of(copy, name)
    try:
        found = classifier_of(model, name)
        sources += _from_the_model(found, sources, loss)
        specification = specify([*sources, *_defaults(path, found, sources)], found.input.channels, card)
        _check_fit(found, specification)
        taken = specification.card.input
        fixed = _of_fixed_size(found.model, taken.height, taken.width)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    return LoadedModel(
        fixed, *specification, version, found.activation, found.units, 4 * max(map(_output_size, _layers(fixed)))
    )


def _loaded(path: Path, copy: Path) -> keras.Model:
    try:
        return keras.saving.load_model(copy, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a model that it cannot build
        raise ModelFileError(
            f"Keras {keras.__version__} cannot load {path} ({_first_line(error)}); save it with that version, without "
            "Lambda or custom layers"
        ) from error


def _check_sizes(path: Path, copy: Path) -> None:
    """Raises ModelFileError where the model would need more memory than it may; nothing of it is allocated here."""
    description = layers_of(copy)
    try:
        with keras.StatelessScope(initialize_variables=False):
            kind = keras.Sequential if description["class_name"] == "Sequential" else keras.Model
            model = kind.from_config(description["config"])
        parameters = sum(int(np.prod(variable.shape)) for variable in model.variables)
        largest = max(map(_output_size, _layers(model)), default=0)
    except Exception as error:
        raise ModelFileError(
            f"{path}: Keras cannot build the model that the file describes ({_first_line(error)})"
        ) from error
    if parameters > MOST_PARAMETERS:
        raise ModelFileError(f"{path} describes {parameters:,} parameters, and at most {MOST_PARAMETERS:,} are loaded")
    needed = largest * np.dtype(np.float32).itemsize
    if needed > MOST_BYTES_OF_A_LAYER:
        raise ModelFileError(
            f"{path}: one layer needs {needed:,} bytes for an image, and at most {MOST_BYTES_OF_A_LAYER:,} are used"
        )


def _layers(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]


def _output_size(layer: Any) -> int:
    shape = getattr(getattr(layer, "output", None), "shape", None) or ()
    return int(np.prod([size or 1 for size in shape[1:]], dtype=np.float64))


def _from_the_model(found: Classifier, sources: list[Source], loss: Any) -> list[Source]:
    """What the model itself shows: how it scales pixels, where it was made, the size of its images, its head."""
    shape, pixels = found.input, pixel_layers(found.model)
    shown = []
    if shape.height and shape.width:
        size = (shape.height, shape.width)
        shown.append(Source(Facts(image_size=size), "the model's input", shape.guessed))
    elif pixels.image_size:
        shown.append(Source(Facts(image_size=pixels.image_size), "the model resizes images to that"))
    if pixels.pixels:
        shown.append(Source(Facts(pixels=pixels.pixels), pixels.source, pixels.guessed))
    elif is_teachable_machine(found.model):
        shown.append(Source(FACTS, WORDS))
    if first_that_says(sources, "head") is None:
        shown.append(_head_of(found, loss))
    return shown


def _head_of(found: Classifier, loss: Any) -> Source:
    """What the last layer means. Raises ModelFileError where that is not to be told."""
    guess = guess_head(found.activation, found.units, loss)
    if guess:
        return Source(Facts(head=guess.head), guess.source, guess.guessed)
    if found.units > 1 and found.activation is None:
        shape = [32 if size is None else size for size in found.model.input_shape[1:]]
        noise = np.random.default_rng(0).uniform(0, 1, (found.input.batch_size or 2, *shape)).astype(np.float32)
        if are_probabilities(np.asarray(found.model(noise, training=False), np.float32), sums_to_one=True):
            return Source(Facts(head="softmax"), "its output sums to 1", guessed=True)
    trained = f", and was fitted with the loss {loss.name}" if loss else ""
    raise ModelFileError(
        f"what its {found.units} output values mean cannot be told: they come from no softmax, sigmoid or logits"
        f"{trained}; if it is a classifier, say with --head which one"
    )


def _defaults(path: Path, found: Classifier, sources: list[Source]) -> list[Source]:
    size = Source(Facts(image_size=DEFAULT_IMAGE_SIZE), "the default: the model takes any size", guessed=True)
    head = first_that_says(sources, "head")
    classes = 2 if found.units == 1 and head and head.facts.head in ("sigmoid", "logits") else found.units
    numbered = Facts(class_names=tuple(f"class {index}" for index in range(max(2, classes))))
    return [
        Source(Facts(name=path.stem, preparation="resize"), "the default"),
        Source(Facts(fit="stretch", interpolation="bilinear", pixels="0..1", channel_order="rgb"), _DEFAULT, True),
        size,
        Source(numbered, "numbered, for want of names", guessed=True),
    ]


def _check_fit(found: Classifier, specification: Specification) -> None:
    card, (height, width, *_) = specification.card, found.input
    sources = {finding.field: finding.source for finding in specification.findings}
    if (height or card.input.height, width or card.input.width) != (card.input.height, card.input.width):
        raise ModelFileError(
            f"{sources['image_size']} says that it takes images of {card.input.height}×{card.input.width}, but the "
            f"model takes {height}×{width}"
        )
    classes = 2 if found.units == 1 and card.head in ("sigmoid", "logits") else found.units
    if classes < 2:
        raise ModelFileError(f"its one output value cannot be a {card.head}; say with --head what it means")
    if len(card.class_names) != classes:
        raise ModelFileError(
            f"{sources['class_names']} names {len(card.class_names)} classes, but the model has {classes}; give as "
            "many names as it has classes, in its order"
        )


def _of_fixed_size(model: keras.Model, height: int, width: int) -> keras.Model:
    """The model for batches of any size, of images of just this size. Raises ModelFileError where it cannot be that."""
    taken = model.inputs[0].shape
    wanted = (None, height, width, *taken[3:]) if len(taken) > 2 else (None, *taken[1:])
    if tuple(taken) == wanted:
        return model

    config = model.get_config()
    config.pop("build_input_shape", None)
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = wanted
    try:
        other = type(model).from_config(config)
        other.set_weights(model.get_weights())
    except Exception as error:
        raise ModelFileError(
            f"it takes {tuple(taken)}, and cannot be made to take {wanted} ({_first_line(error)}); save it so"
        ) from error
    return other


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{text.splitlines()[0]:.{_MOST_OF_A_REASON}}" if text else type(error).__name__
