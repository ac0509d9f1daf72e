"""A Keras image classifier that is loaded: warms it and calls it. Knows no file, no HTTP and no queue."""

from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.card import ModelCard, ModelFileError, OodStatistics
from models.ood import DISTANCE_WEIGHT
from models.preprocessing import ModelInput

Floats = npt.NDArray[np.float32]


def batch_sizes(largest: int) -> tuple[int, ...]:
    """The sizes of batches that are warmed, and to which all others are padded: 1 to 8, then four to each doubling.

    Each new size costs a new oneDNN primitive, and each row of padding as much as an image.
    """
    return (*(size for size in range(1, largest) if size % max(1, 2 ** (size - 1).bit_length() // 8) == 0), largest)


class Answers(NamedTuple):
    """What the model says of a batch: probabilities (rows, classes), and for each row how familiar it is, 0 to 1.

    `familiarity` is None where the card has nothing to tell it by, or where the model does not end in a dense layer
    with a softmax.
    """

    probabilities: Floats
    familiarity: Floats | None


class TensorFlowEngine:
    """A loaded model, its card and version, and one compiled function that answers for it.

    Everything here must be called from one thread, except the plain attributes.
    """

    def __init__(self, model: keras.Model, card: ModelCard, version: str, device: str, max_batch_size: int) -> None:
        self.batch_sizes = batch_sizes(max_batch_size)
        self.model = model
        self.card = card
        self.version = version
        self.device = device
        wanted = card.input
        network_shape = model.input_shape[1:]
        before_last = _without_last_layer(model)
        last = model.layers[-1]
        known = card.familiarity

        # Traced once, for a batch of any size: model.predict costs 70 times as much for one image, model(x) 8 times,
        # and a tf.function that looks up its trace at each call a quarter more.
        @tf.function(autograph=False)  # type: ignore[untyped-decorator] # it would write a file
        def call(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
            shaped = tf.reshape(batch, (-1, *network_shape))
            if before_last is None:
                return (model(shaped, training=False),)
            features = before_last(shaped, training=False)
            logits = tf.matmul(features, last.kernel)
            if last.use_bias:
                logits += last.bias
            probabilities = tf.nn.softmax(logits)
            return (probabilities, _shares(known, features, logits)) if known else (probabilities,)

        self._call = call.get_concrete_function(
            tf.TensorSpec((None, wanted.height, wanted.width, wanted.channels), tf.float32)
        )

    def predict(self, batch: ModelInput) -> Floats:
        """Probabilities (rows, classes) of float32 images (rows, height, width, channels) as `scaled` makes them."""
        step = self.batch_sizes[-1]
        answers = [self.answer(batch[start : start + step]).probabilities for start in range(0, len(batch), step)]
        return np.concatenate(answers)

    def answer(self, batch: ModelInput) -> Answers:
        """The same and more, of 1 to `max_batch_size` images."""
        rows = len(batch)
        size = next(size for size in self.batch_sizes if size >= rows)
        if size > rows:
            batch = np.concatenate([batch, np.zeros((size - rows, *batch.shape[1:]), np.float32)])
        probabilities, *shares = (value.numpy()[:rows] for value in self._call(tf.convert_to_tensor(batch)))
        return Answers(probabilities, shares[0] if shares else None)

    def warm(self) -> None:
        """Call the model once with each batch size, and see that it answers with probabilities.

        Raises ModelFileError where it does not.
        """
        wanted = self.card.input
        for size in self.batch_sizes:
            blank = np.zeros((size, wanted.height, wanted.width, wanted.channels), np.float32)
            answer = self.predict(blank)
        if not (np.isfinite(answer).all() and (answer >= 0).all() and np.allclose(answer.sum(axis=1), 1, atol=1e-3)):
            raise ModelFileError(
                f"{self.card.name} does not answer with probabilities that sum to 1; end the model with a softmax, "
                "and see that its weights are numbers"
            )


def _shares(known: OodStatistics, features: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """What `models.ood` measures, as a part of the compiled function, (rows,).

    There it needs no lock of the interpreter: each of its steps would wait for the event loop to let go of it.
    """
    # The logarithm of the sum of all exponentials: in one step instead of ten.
    values = (logits - tf.nn.log_softmax(logits))[:, 0] / known.energy_spread
    if known.centres:
        spreads = np.array(known.spreads, np.float32)
        centres, scaled = np.array(known.centres, np.float32) / spreads, features / spreads
        nearness = tf.matmul(scaled, centres.T) - (centres**2).sum(axis=1) / 2
        distances = tf.reduce_sum(scaled**2, axis=1) - 2 * tf.reduce_max(nearness, axis=1)
        values -= DISTANCE_WEIGHT * tf.nn.relu((distances - known.distance_mean) / known.distance_spread)
    # Of each step from one quantile to the next, the part that lies below.
    quantiles = np.array(known.quantiles, np.float32)
    parts = (values[:, tf.newaxis] - quantiles[:-1]) / np.maximum(np.diff(quantiles), np.finfo(np.float32).tiny)
    return tf.reduce_mean(tf.clip_by_value(parts, 0.0, 1.0), axis=1)


def _without_last_layer(model: keras.Model) -> keras.Model | None:
    """The model up to the logits' layer, or None where it does not end in a dense layer with a softmax."""
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.softmax:
        return None
    try:
        return keras.Model(model.inputs, last.input)
    except (AttributeError, ValueError):  # it was built without telling its layers apart
        return None
