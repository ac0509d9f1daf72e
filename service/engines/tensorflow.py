"""TensorFlow as the engine: a Keras model and one compiled function that answers for it. Knows no HTTP and no queue."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.types.experimental import ConcreteFunction

from models.card import ModelCard, ModelFileError, OodStatistics
from models.head import Conversion, conversion_of, is_dense_softmax
from models.ood import DISTANCE_WEIGHT
from models.preprocessing import ModelInput
from models.reasons import first_line
from models.specification import Facts
from service.engines.base import DeviceError, EngineOutput, check_probabilities
from service.engines.keras_embeddings import with_embeddings
from service.engines.keras_summary import summarize
from service.model_files.classifier import output_layer
from service.model_files.loading import LoadedModel, load_model
from service.model_files.snapshot import ModelFileLimits
from service.model_files.source import ModelSource, hold, version_of
from service.settings import Device

Floats = npt.NDArray[np.float32]

# Larger batches of a model whose layers are larger than this would cost memory and time to warm, and gain nothing.
_MOST_BYTES_OF_A_BATCH = 256 << 20


def batch_sizes(largest: int) -> tuple[int, ...]:
    """The sizes of batches that are warmed, and to which all others are padded: 1 to 8, then four to each doubling.

    Each new size costs a new oneDNN primitive, and each row of padding as much as an image.
    """
    return (*(size for size in range(1, largest) if size % max(1, 2 ** (size - 1).bit_length() // 8) == 0), largest)


class TensorFlowEngine:
    """One version of a Keras model. Everything here must be called from one thread, except the plain attributes."""

    def __init__(
        self, loaded: LoadedModel, device: str, max_batch_size: int, source: ModelSource | None = None
    ) -> None:
        """Nothing is called yet: see `warm`. `source` is the file that was loaded, where it shall be explained."""
        self.model = loaded.model
        self.source = source
        self.card, self.findings, self.version = loaded.card, loaded.findings, loaded.version
        self.device, self.units = device, loaded.units
        self.summary = summarize(self.model, self.card.name, self.version)
        self.conversion = conversion_of(self.card.head, loaded.activation, loaded.units)
        """What makes probabilities of the model's own output."""
        room = max(1, _MOST_BYTES_OF_A_BATCH // loaded.bytes_per_image)
        self.batch_sizes = batch_sizes(min(max_batch_size, room))
        wanted = self.card.input
        # Traced once, for a batch of any size: model.predict costs 70 times as much for one image, model(x) 8 times,
        # and a tf.function that looks up its trace at each call a quarter more. Autograph would write a file.
        forward_pass = forward_pass_of(self.model, self.card, self.conversion)
        self._forward_pass = tf.function(forward_pass, autograph=False).get_concrete_function(
            tf.TensorSpec((None, wanted.height, wanted.width, wanted.channels), tf.float32)
        )
        self.embedding_dimension = embedding_dimension(self._forward_pass)

    def infer(self, batch: ModelInput) -> EngineOutput:
        """One forward pass of 1 to `max_batch_size` rows, float32 (rows, height, width, channels) as `scaled` has them.

        Of a model with large layers there are several, one after the other.
        """
        largest = self.batch_sizes[-1]
        if len(batch) <= largest:
            return self._infer(batch)
        parts = [self._infer(batch[start : start + largest]) for start in range(0, len(batch), largest)]
        scores, *others = zip(*parts, strict=True)
        return EngineOutput(
            np.concatenate(scores), *(None if column[0] is None else np.concatenate(column) for column in others)
        )

    def _infer(self, batch: ModelInput) -> EngineOutput:
        """Padded to the next of the batch sizes that were warmed."""
        rows = len(batch)
        size = next(size for size in self.batch_sizes if size >= rows)
        if size > rows:
            batch = np.concatenate([batch, np.zeros((size - rows, *batch.shape[1:]), np.float32)])
        found = {name: value.numpy()[:rows] for name, value in self._forward_pass(tf.convert_to_tensor(batch)).items()}
        return EngineOutput.of(found)

    def predict(self, batch: ModelInput) -> Floats:
        """Scores (rows, classes) of any number of rows."""
        return self.infer(batch).scores

    def warm(self) -> None:
        """Call the model once with each batch size, and see that it answers with probabilities.

        Raises ModelFileError where it does not.
        """
        wanted = self.card.input
        for size in self.batch_sizes:
            blank = np.zeros((size, wanted.height, wanted.width, wanted.channels), np.float32)
            check_probabilities(self._infer(blank).scores, self.card, sums_to_one=self.conversion.sums_to_one)

    def close(self) -> None:
        """Let go of the model's file. TensorFlow's memory goes with the last reference to the model."""
        if self.source:
            self.source.close()


class TensorFlowLoader:
    """TensorFlow in this process, set up once before anything is loaded."""

    def __init__(
        self,
        device: Device,
        threads: int | None,
        options: Facts,
        max_batch_size: int,
        limits: ModelFileLimits | None = None,
    ) -> None:
        """Each forward pass uses `threads` threads, and has room for `max_batch_size` rows.

        One thread answers more requests in a second than two do: it needs less CPU time for each image, and the event
        loop keeps its core. None leaves that to TensorFlow, whose threads cannot be changed once it has run anything.
        `options` count before what a file says of itself. Raises DeviceError where a GPU is asked for and there is
        none.
        """
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._device = _choose_device(device)
        self._options = options
        self._max_batch_size = max_batch_size
        self._limits = limits or ModelFileLimits()

    def load(self, path: Path, name: str | None = None) -> TensorFlowEngine:
        """The model in the file at `path`, warm. Raises ModelFileError, StorageFailed: see `EngineLoader`."""
        options = self._options if name is None else self._options.model_copy(update={"name": name})
        source = hold(path, self._limits.max_bytes)
        loaded = load_model(path, options, self._limits)
        if source is None or version_of(source.fileno()) != loaded.version:
            source = hold(path, self._limits.max_bytes)  # another file came between
        try:
            engine = TensorFlowEngine(loaded, self._device, self._max_batch_size, source)
            engine.warm()
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise ModelFileError(f"{path}: TensorFlow cannot run it on {self._device} ({first_line(error)})") from error
        return engine

    def device_memory(self) -> int:
        """Bytes of the GPU's memory that TensorFlow uses now; 0 without one."""
        if not tf.config.get_visible_devices("GPU"):
            return 0
        return int(tf.config.experimental.get_memory_info("GPU:0")["current"])


def forward_pass_of(
    model: keras.Model, card: ModelCard, conversion: Conversion
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """What an engine runs, as a function of TensorFlow's: float32 (rows, height, width, channels) → EngineOutput.

    `ood_scores` are missing where the card has nothing to tell them by, or where the logits are out of reach, `outputs`
    where they are the scores, and `embeddings` where no dense layer ends the model.
    """
    model_shape = model.input_shape[1:]
    last, known = output_layer(model), card.familiarity
    before_last = _without_last_layer(model) if known else None
    embedded = None if before_last else with_embeddings(model)

    def forward_pass(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        shaped = tf.reshape(batch, (-1, *model_shape))
        if before_last is None or known is None:
            found: dict[str, tf.Tensor] = {}
            if embedded is None:
                own = model(shaped, training=False)
            else:
                embeddings, own = embedded(shaped, training=False)
                found["embeddings"] = tf.cast(embeddings, tf.float32)
            outputs = tf.cast(own, tf.float32)
            scores = probabilities_of(outputs, conversion)
            return found | ({"scores": scores} if conversion.nothing_to_do else {"scores": scores, "outputs": outputs})
        features = tf.cast(before_last(shaped, training=False), tf.float32)
        logits = tf.matmul(features, last.kernel)
        if last.use_bias:
            logits += last.bias
        ood_scores = _ood_scores(known, features, logits)
        return {"scores": tf.nn.softmax(logits), "ood_scores": ood_scores, "embeddings": features}

    return forward_pass


def embedding_dimension(forward_pass: ConcreteFunction) -> int | None:
    """Of what `forward_pass_of` gave, once traced."""
    embeddings = forward_pass.structured_outputs.get("embeddings")
    return None if embeddings is None else int(embeddings.shape[1])


def probabilities_of(outputs: tf.Tensor, conversion: Conversion) -> tf.Tensor:
    """The model's own output, float32 (rows, units) → the probability of each class, (rows, classes)."""
    match conversion.activation:
        case "softmax":
            outputs = tf.nn.softmax(outputs)
        case "sigmoid":
            outputs = tf.sigmoid(outputs)
    return tf.concat([1 - outputs, outputs], axis=1) if conversion.two_classes else outputs


def _ood_scores(known: OodStatistics, features: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
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
    last = output_layer(model)
    if not is_dense_softmax(last):
        return None
    return keras.Model(model.inputs, last.input)


def _choose_device(device: Device) -> str:
    """Set TensorFlow to `device` and name it. Raises DeviceError where a GPU is asked for and there is none."""
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise DeviceError(
            "device is gpu, but TensorFlow sees none; install the requirements in requirements/gpu.txt, see that "
            "nvidia-smi lists a GPU, or use --device auto"
        )
    if device == "cpu" or not gpus:
        tf.config.set_visible_devices([], "GPU")
        return "CPU"
    for gpu in gpus:
        # Without this TensorFlow takes the whole of the GPU's memory at the first call.
        tf.config.experimental.set_memory_growth(gpu, True)
    name: str = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return name
