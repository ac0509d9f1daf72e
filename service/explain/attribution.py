"""What an answer rests on: how much each pixel of the model's input speaks for a class. Knows no HTTP.

What is explained is the class's logit, the value before the softmax or sigmoid, as the papers do; where a softmax is no
dense layer's, the logarithm of the probability. Occlusion looks at the probability itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.head import Conversion
from models.preprocessing import ModelInput
from service.engines.keras_summary import named_layers
from service.engines.tensorflow import probabilities_of
from service.errors import NotInModel
from service.explain.deadline import ensure_time
from service.explain.layers import as_batch, is_convolution, watched
from service.explain.results import Attribution, Method
from service.model_files.classifier import output_layer
from service.model_files.sizes import output_sizes

Floats = npt.NDArray[np.float32]
Scorer = Callable[[tf.Tensor], tf.Tensor]
Patch = tuple[slice, slice]

# Of steps and of noisy copies; fewer where a model is so large that as many would not be there in time.
_STEPS = range(32, 256 + 1)
_NOISY_COPIES = range(16, 32 + 1)
_NOISE_SHARE = 0.15
# An occluding patch covers this share of the longer edge, and moves on by a third of itself; on a large model by a half
# or, at most, by the whole.
_PATCH_SHARE = 0.22
_PARTS_OF_A_PATCH = (3, 2, 1)
# Rows go through the model in portions: never more than so many, nor with larger outputs of all layers together. A
# gradient needs these outputs, as much again for their gradients, and what TensorFlow keeps in between.
_MOST_ROWS = 32
_MOST_BYTES = 192 << 20
# So many values are computed for one attribution, by all layers together: some seconds. A gradient counts as two.
_MOST_VALUES = 1_200_000_000
_TINY = 1e-12


class ScoredModel(NamedTuple):
    """A model, what is explained as the output of another (rows, classes), and what makes its output probabilities.

    `rows_at_once` go through it in one portion, and `rows_in_time` altogether.
    """

    model: keras.Model
    scores: keras.Model
    conversion: Conversion
    rows_at_once: int
    rows_in_time: int


def attribute(
    scored: ScoredModel, image: ModelInput, black: ModelInput, method: Method, index: int | None
) -> Attribution:
    """The attribution to class `index`, or to the model's answer.

    `image` is float32 (height, width, channels), scaled, and `black` what becomes of a black one. Raises NotInModel
    where the method needs feature maps and the model has none.
    """
    model, scores, conversion, at_once, in_time = scored
    gradients_in_time = in_time // 2
    batch, dark = as_batch(model, image), as_batch(model, black)

    def probabilities_for(rows: tf.Tensor) -> tf.Tensor:
        return probabilities_of(tf.cast(model(rows, training=False), tf.float32), conversion)

    probabilities = np.asarray(probabilities_for(tf.constant(batch)))[0]
    chosen = int(probabilities.argmax()) if index is None else index

    def score(rows: tf.Tensor) -> tf.Tensor:
        return tf.cast(scores(rows, training=False)[:, chosen], tf.float32)

    match method:
        case "saliency":
            values = saliency(score, batch)
        case "smoothgrad":
            values = smoothgrad(score, batch, at_once, _within(_NOISY_COPIES, gradients_in_time))
        case "integrated-gradients":
            values = integrated_gradients(score, batch, dark, at_once, _within(_STEPS, gradients_in_time))
        case "occlusion":
            boxes = patches(image.shape[:2], in_time)
            values = occlusion(lambda rows: probabilities_for(rows)[:, chosen], batch, dark, boxes, at_once)
        case "grad-cam" | "grad-cam++":
            values = class_activation(model, score, batch, image.shape[:2], plus_plus=method == "grad-cam++")
    by_channel = values.reshape(*image.shape[:2], -1)
    gradient_alone = method in ("saliency", "smoothgrad")
    values = np.abs(by_channel).max(axis=-1) if gradient_alone else by_channel.sum(axis=-1)
    base = float(score(tf.constant(dark))[0])
    return Attribution(
        values.astype(np.float32),
        chosen,
        float(probabilities[chosen]),
        float(score(tf.constant(batch))[0]),
        base,
    )


def saliency(score: Scorer, batch: Floats) -> Floats:
    """The gradient of the score by the pixels, of `batch`'s own shape without the first axis.

    Simonyan, Vedaldi and Zisserman, "Deep inside convolutional models", 2013 (arXiv:1312.6034), section 3.
    """
    return np.asarray(_gradients(score, batch)[0])


def smoothgrad(score: Scorer, batch: Floats, at_once: int, copies: int) -> Floats:
    """The mean of that gradient over so many copies of the image with noise; the noise is the same for each call.

    Smilkov and others, "SmoothGrad: removing noise by adding noise", 2017 (arXiv:1706.03825).
    """
    spread = _NOISE_SHARE * float(batch.max() - batch.min())
    noise = np.random.default_rng(0).normal(0, spread, (copies, *batch.shape[1:])).astype(np.float32)
    total = np.zeros(batch.shape[1:])
    for some in _portions(noise, at_once):
        total += _gradients(score, batch + some).sum(axis=0)
    return np.asarray(total / copies, np.float32)


def integrated_gradients(score: Scorer, batch: Floats, black: Floats, at_once: int, steps: int) -> Floats:
    """The gradient along the way from black to the image, times the pixels: they sum to the score's difference.

    Sundararajan, Taly and Yan, "Axiomatic attribution for deep models", 2017 (arXiv:1703.01365), section 3. The steps
    are closest where the image is darkest: there a model of ReLUs changes its gradient most often.
    """
    middles = ((np.arange(steps) + 0.5) / steps).reshape(-1, *[1] * (batch.ndim - 1)).astype(np.float32)
    total = np.zeros(batch.shape[1:])
    for some in _portions(middles, at_once):
        total += (_gradients(score, black + (batch - black) * some**2) * (2 * some)).sum(axis=0)
    return np.asarray(total / steps * (batch - black)[0], np.float32)


def occlusion(probability: Scorer, batch: Floats, black: Floats, boxes: Sequence[Patch], at_once: int) -> Floats:
    """How much lower the probability is with a black patch over a pixel, on average over the `boxes` that cover it.

    Zeiler and Fergus, "Visualizing and understanding convolutional models", 2013 (arXiv:1311.2901), section 4.2.
    """
    whole = float(probability(tf.constant(batch))[0])
    size = (max(rows.stop for rows, _ in boxes), max(columns.stop for _, columns in boxes))
    lost, covered = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for some in _portions(boxes, at_once):
        hidden = np.repeat(batch, len(some), axis=0)
        for row, (rows, columns) in zip(hidden, some, strict=True):
            row[rows, columns] = black[0][rows, columns]
        for (rows, columns), left in zip(some, np.asarray(probability(tf.constant(hidden))), strict=True):
            lost[rows, columns] += whole - left
            covered[rows, columns] += 1
    return np.asarray(lost / np.maximum(covered, 1), np.float32)


def patches(size: tuple[int, int], most: int) -> list[Patch]:
    """Squares all over an image of that size, closer to each other where as many are not more than `most`."""
    height, width = size
    edge = max(2, round(_PATCH_SHARE * max(size)))
    found: list[Patch] = []
    for parts in _PARTS_OF_A_PATCH:
        step = max(1, edge // parts)
        found = [
            (slice(max(0, top), min(height, top + edge)), slice(max(0, left), min(width, left + edge)))
            for top in range(1 - step, height, step)
            for left in range(1 - step, width, step)
        ]
        if len(found) <= most:
            break
    return found


def class_activation(
    model: keras.Model, score: Scorer, batch: Floats, size: tuple[int, int], *, plus_plus: bool
) -> Floats:
    """Where the last convolution's maps speak for the class, made as large as the image; (height, width), 0 or more.

    Grad-CAM: Selvaraju and others, 2016 (arXiv:1610.02391), section 3. Grad-CAM++: Chattopadhay and others, 2017
    (arXiv:1710.11063), section 3, with the exponential of the score as the smooth function.
    """
    name, layer = _last_with_maps(model)
    # What Keras hands out of a model is a copy of what passes between its layers, and has no gradient.
    with tf.GradientTape() as tape, watched({name: layer}, lambda now: tape.watch(now.made)) as passed:
        value = score(tf.constant(batch))
    made = passed[name].made
    gradient = tape.gradient(value, made, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    maps, gradients = np.asarray(made)[0], np.asarray(gradient)[0]
    weights = gradients.mean(axis=(0, 1))
    if plus_plus:
        squares, cubes = gradients**2, gradients**3
        shares = squares / (2 * squares + maps.sum(axis=(0, 1)) * cubes + _TINY)
        weights = (np.where(gradients != 0, shares, 0) * np.maximum(gradients, 0)).sum(axis=(0, 1))
    spoken = np.maximum(maps @ weights, 0)
    return np.asarray(cv2.resize(spoken, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _last_with_maps(model: keras.Model) -> tuple[str, keras.layers.Layer]:
    """The last convolution and its name; where there is none, the last layer with maps."""
    with_maps = [
        (name, layer) for name, layer in named_layers(model).items() if len(getattr(layer.output, "shape", ())) == 4
    ]
    if not with_maps:
        raise NotInModel("this model has no feature maps, which Grad-CAM needs; try saliency, occlusion or another")
    return next((one for one in reversed(with_maps) if is_convolution(one[1])), with_maps[-1])


def scored_model(model: keras.Model, conversion: Conversion) -> ScoredModel:
    """The model and what is explained of it: its logits, or the logarithms of its probabilities.

    To be made once for each model: its layers remember everything that was ever put behind them.
    """
    last = output_layer(model)
    scores = model.outputs[0]
    if conversion.activation is None and isinstance(last, keras.layers.Dense):
        scores = keras.ops.matmul(last.input, last.kernel)
        if last.use_bias:
            scores = keras.ops.add(scores, last.bias)
    elif conversion.activation is None:
        scores = keras.ops.log(keras.ops.clip(scores, _TINY, 1))
        if conversion.two_classes or not conversion.sums_to_one:
            scores = scores - keras.ops.log(keras.ops.clip(1 - model.outputs[0], _TINY, 1))
    if conversion.two_classes:
        scores = keras.ops.concatenate([-scores, scores], axis=-1)
    values_a_row = sum(output_sizes(model))
    bytes_a_row = np.dtype(np.float32).itemsize * values_a_row
    rows_at_once = max(1, min(_MOST_ROWS, _MOST_BYTES // max(1, bytes_a_row)))
    rows_in_time = _MOST_VALUES // max(1, values_a_row)
    return ScoredModel(model, keras.Model(model.inputs[0], scores), conversion, rows_at_once, rows_in_time)


def _gradients(score: Scorer, batch: Floats) -> Floats:
    """Of the score of each row by its own values, of `batch`'s shape."""
    rows = tf.constant(batch)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        scores = score(rows)
    return np.asarray(tape.gradient(scores, rows), np.float32)


def _within(bounds: range, number: int) -> int:
    """The number, or whichever of the bounds it is beyond."""
    return max(bounds[0], min(bounds[-1], number))


def _portions(items: Any, at_once: int) -> Iterator[Any]:
    for start in range(0, len(items), at_once):
        ensure_time()
        yield items[start : start + at_once]
