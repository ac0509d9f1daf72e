"""What a Keras model itself shows, and what is assumed where nothing is known, as sources. Knows no file format.

See `models.specification` for how they are put together with the others.
"""

from pathlib import Path

import numpy as np

from models.card import ModelFileError
from models.head import Loss, are_probabilities, class_count, guess_head
from models.specification import Facts, Source, first_that_says
from service.model_files.applications import application_in
from service.model_files.classifier import Classifier
from service.model_files.pixel_layers import PixelLayers
from service.model_files.teachable_machine import FACTS, WORDS, is_teachable_machine

DEFAULT_IMAGE_SIZE = (224, 224)
_DEFAULT = "the default: nothing says otherwise"


def shown_by_model(
    found: Classifier, pixels: PixelLayers, sources: list[Source], loss: Loss | None, *, exported: bool
) -> list[Source]:
    """What the model itself shows: how it scales pixels, where it was made, the size of its images, its head.

    `exported` says that it came in the zip of Teachable Machine's export: what only looks like one may be used by a
    program that prepares images otherwise. Raises ModelFileError where none of `sources` and nothing in it tells what
    its output means.
    """
    shape = found.input
    shown = []
    if shape.height and shape.width:
        size = (shape.height, shape.width)
        shown.append(Source(Facts(image_size=size), shape.words, shape.guessed))
    elif pixels.image_size:
        shown.append(Source(Facts(image_size=pixels.image_size), "the model resizes images to that"))
    if pixels.pixels:
        shown.append(Source(Facts(pixels=pixels.pixels), pixels.source, pixels.guessed))
    elif is_teachable_machine(found.model):
        # Who says how to fit an image does not do it as Teachable Machine's example.
        told = first_that_says(sources, "fit")
        shown.append(Source(FACTS.model_copy(update={"interpolation": None}) if told else FACTS, WORDS, not exported))
    if first_that_says(sources, "head") is None:
        shown.append(_head_of(found, loss))
    return shown


def _head_of(found: Classifier, loss: Loss | None) -> Source:
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


def defaults(path: Path, found: Classifier, sources: list[Source]) -> list[Source]:
    """What is assumed of everything of which no other source says something."""
    application = application_in(found.model)
    pixels = Source(Facts(pixels="0..1"), _DEFAULT, guessed=True)
    if application and application.whole:
        words = f"as {application.name} of keras.applications was pretrained"
        pixels = Source(Facts(pixels=application.pixels), words, guessed=True)
    elif application:
        words = f"the default, though {application.name} of keras.applications was pretrained on {application.pixels}"
        pixels = Source(Facts(pixels="0..1"), words, guessed=True)
    size = Source(Facts(image_size=DEFAULT_IMAGE_SIZE), "the default: the model takes any size", guessed=True)
    head = first_that_says(sources, "head")
    classes = class_count(head.facts.head if head else None, found.units)
    numbered = Facts(class_names=tuple(f"class {index}" for index in range(max(2, classes))))
    return [
        Source(Facts(name=path.stem, preparation="resize"), "the default"),
        pixels,
        Source(Facts(fit="stretch", interpolation="bilinear", channel_order="rgb"), _DEFAULT, guessed=True),
        size,
        Source(numbered, "numbered, for want of names", guessed=True),
    ]
