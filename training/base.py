"""A pretrained network without its last layer, and what images it takes. Knows no data set and no recipe.

One of `keras.applications` with the weights that Keras downloads, or the body of any Keras file.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import keras

from models.applications import pretraining_pixels
from models.card import ImageInput, ModelFileError, read_card
from models.pixels import PIXEL_RANGES, PixelScaling, pixel_range_of
from models.reasons import first_line
from training.errors import TrainingError
from training.settings import TrainingSettings

APPLICATIONS = {name.lower(): name for name, made in vars(keras.applications).items() if inspect.isfunction(made)}
_IMAGE_SIZE = 224
_AFTER_THE_HEAD = (keras.layers.Activation, keras.layers.Softmax, keras.layers.Dropout, keras.layers.Identity)


@dataclass(frozen=True)
class Base:
    """What `body` makes of an image, (batch, height, width, channels) as `input` says, are features (batch, units).

    `notes` are what was found and assumed, for people.
    """

    name: str
    body: keras.Model
    input: ImageInput
    notes: tuple[str, ...]


def layers_of(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Its layers from the input on, with those of the models inside of it in their place."""
    for layer in model.layers:
        yield from layers_of(layer) if isinstance(layer, keras.Model) else [layer]


class _Pixels(NamedTuple):
    """What the network takes for pixels of 0 to 255, and who says so."""

    scaling: PixelScaling
    source: str


def load_base(settings: TrainingSettings) -> Base:
    """The network that `--base` names. Raises TrainingError where there is none, or where it takes no such images."""
    keras.utils.set_random_seed(settings.seed)  # a Dropout draws its own seed when it is made
    name = settings.base or ""
    path, application, card = Path(name), APPLICATIONS.get(name.lower()), None
    if application:
        body, cut = _downloaded(application, settings), "with ImageNet's weights"
    else:
        model, card = _read(path)
        body, cut = _without_head(model, path)
    body = _of_one_size(body, name, settings)
    pixels = _pixels(body, application or path.stem, card, settings)
    order = pixels.scaling.channel_order or "rgb"
    height, width, channels = body.input_shape[1:]
    taken = ImageInput(
        height=height,
        width=width,
        channels=channels,
        channel_order=order,
        scale=pixels.scaling.scale,
        offset=pixels.scaling.offset,
        fit=settings.fit or (card.fit if card else "crop"),
        interpolation=card.interpolation if card else "antialias",
        preparation=card.preparation if card else "resize",
    )
    words = f"{pixel_range_of(taken.scale, taken.offset)} in {order.upper() if channels == 3 else 'grey'}"
    notes = (
        f"{path.name} {cut}: {body.count_params():,} parameters make {body.output_shape[1]:,} features of an image",
        f"It is given {height}×{width} pixels, {words}: {pixels.source}",
    )
    return Base(path.stem, body, taken, notes)


def _downloaded(application: str, settings: TrainingSettings) -> keras.Model:
    edge = settings.image_size or _IMAGE_SIZE
    make = getattr(keras.applications, application)
    try:
        return make(include_top=False, weights="imagenet", input_shape=(edge, edge, 3))
    except ValueError as error:  # a size that it cannot have
        raise TrainingError(f"--base {settings.base} cannot be made: {first_line(error)}") from error
    except Exception as error:  # whatever the download raises, the advice is the same
        raise TrainingError(
            f"the weights of {application} are not in Keras's cache and could not be downloaded ({first_line(error)}); "
            f"where they can be, run keras.applications.{application}(include_top=False).save('{application.lower()}."
            f"keras'), and name that file with --base"
        ) from error


def _read(path: Path) -> tuple[keras.Model, ImageInput | None]:
    if not path.is_file():
        close = get_close_matches(str(path).lower(), APPLICATIONS, n=3) or ["mobilenetv2", "efficientnetb0", "resnet50"]
        raise TrainingError(
            f"--base {path} is neither a Keras file nor one of keras.applications; of those there are "
            f"{len(APPLICATIONS)}, such as {', '.join(close)}"
        )
    try:
        card = read_card(path)
        model = keras.saving.load_model(path, compile=False)
        for layer in layers_of(model) if isinstance(model, keras.Model) else ():
            # Of a .h5, Keras restores what this layer computes with only where it is in no model inside the model.
            if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
                layer.finalize_state()
    except ModelFileError as error:
        raise TrainingError(f"--base {error}") from error
    except Exception as error:  # loading a file of others can fail in any way
        raise TrainingError(
            f"--base {path} cannot be loaded ({first_line(error)}); save it again with this Keras, {keras.__version__}"
        ) from error
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) != 4:
        raise TrainingError(
            f"--base {path} is no network of one input (batch, height, width, channels) and one output; name another"
        )
    return model, card.input if card else None


def _without_head(model: keras.Model, path: Path) -> tuple[keras.Model, str]:
    """The model up to its last dense layer, and what was cut off, in words."""
    found = _last_dense(model)
    if found is None:
        return model, "as it is, for it ends in no dense layer"
    body, dense = found
    if len(body.outputs[0].shape) != 2 or body.outputs[0] is model.inputs[0]:
        raise TrainingError(f"--base {path} has nothing before its last dense layer {dense.name} that makes features")
    return body, f"without its last layer {dense.name} of {dense.units:,} units"


def _last_dense(model: keras.Model) -> tuple[keras.Model, keras.layers.Dense] | None:
    """The model without the dense layer at its end, and that layer; models inside of it are opened."""
    operation, call, _ = model.outputs[0]._keras_history
    given = operation._inbound_nodes[call].input_tensors
    while isinstance(operation, _AFTER_THE_HEAD):
        operation, call, _ = given[0]._keras_history
        given = operation._inbound_nodes[call].input_tensors
    if isinstance(operation, keras.layers.Dense):
        return keras.Model(model.inputs[0], given[0], name=model.name), operation
    if isinstance(operation, keras.Model) and (found := _last_dense(operation)):
        inner, dense = found
        return keras.Model(model.inputs[0], inner(given[0]), name=model.name), dense
    return None


def _of_one_size(body: keras.Model, name: str, settings: TrainingSettings) -> keras.Model:
    """The body for images of one size, with one value for each feature map."""
    taken = body.input_shape[1:]
    edge = settings.image_size
    wanted = (edge or taken[0] or _IMAGE_SIZE, edge or taken[1] or _IMAGE_SIZE, settings.channels or taken[2] or 3)
    if any(size not in (None, other) for size, other in zip(taken, wanted, strict=True)):
        raise TrainingError(
            f"--base {name} takes images of {taken[0]}×{taken[1]} with {taken[2]} channels, and --image-size and "
            f"--channels ask for {wanted[0]}×{wanted[1]} with {wanted[2]}"
        )
    inputs: Any = body.inputs[0]
    features: Any = body.outputs[0]
    if tuple(taken) != wanted:
        inputs = keras.Input(wanted)
        features = body(inputs)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="pooled_features")(features)
    if len(features.shape) != 2 or not features.shape[1]:
        raise TrainingError(f"--base {name} makes {features.shape} of images, expected feature maps or features")
    return keras.Model(inputs, features, name=body.name)


def _pixels(body: keras.Model, name: str, card: ImageInput | None, settings: TrainingSettings) -> _Pixels:
    if settings.pixels:
        return _Pixels(PIXEL_RANGES[settings.pixels], "as --pixels says")
    if card:
        return _Pixels(PixelScaling(card.scale, card.offset, card.channel_order), "as the card in its file says")
    for layer in layers_of(body):
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
            return _Pixels(PIXEL_RANGES["0..255"], f"its layer {layer.name} scales them")
        if layer.weights:
            break
    for known in (name, body.name):
        word = pretraining_pixels(known)
        if word:
            return _Pixels(PIXEL_RANGES[word], f"as keras.applications has it for {known}; --pixels says otherwise")
    return _Pixels(PIXEL_RANGES["0..1"], "ASSUMED, for nothing says what it was fitted to; say so with --pixels")
