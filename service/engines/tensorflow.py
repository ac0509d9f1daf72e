"""TensorFlow as the engine: a Keras model and one compiled function that answers for it. Knows no HTTP and no queue."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.card import ModelCard, ModelFileError, OodStatistics
from models.head import are_probabilities, head_of
from models.ood import DISTANCE_WEIGHT
from models.preprocessing import ModelInput
from service.engines.base import DeviceError, EngineOutput
from service.model_files.loading import LoadedModel, load_model
from service.model_files.snapshot import ModelFileLimits
from service.settings import Device

Floats = npt.NDArray[np.float32]


def batch_sizes(largest: int) -> tuple[int, ...]:
    """The sizes of batches that are warmed, and to which all others are padded: 1 to 8, then four to each doubling.

    Each new size costs a new oneDNN primitive, and each row of padding as much as an image.
    """
    return (*(size for size in range(1, largest) if size % max(1, 2 ** (size - 1).bit_length() // 8) == 0), largest)


class TensorFlowEngine:
    """One version of a Keras model. Everything here must be called from one thread, except the plain attributes."""

    def __init__(self, loaded: LoadedModel, device: str, max_batch_size: int) -> None:
        """Nothing is called yet: see `warm`."""
        self.model = loaded.model
        self.card, self.card_source, self.version = loaded.card, loaded.card_source, loaded.version
        self.device = device
        self.batch_sizes = batch_sizes(max_batch_size)
        wanted = self.card.input
        # Traced once, for a batch of any size: model.predict costs 70 times as much for one image, model(x) 8 times,
        # and a tf.function that looks up its trace at each call a quarter more. Autograph would write a file.
        self._forward_pass = tf.function(forward_pass_of(self.model, self.card), autograph=False).get_concrete_function(
            tf.TensorSpec((None, wanted.height, wanted.width, wanted.channels), tf.float32)
        )

    def infer(self, batch: ModelInput) -> EngineOutput:
        """One forward pass of 1 to `max_batch_size` rows, float32 (rows, height, width, channels) as `scaled` has them.

        It is padded to the next of the batch sizes that were warmed.
        """
        rows = len(batch)
        size = next(size for size in self.batch_sizes if size >= rows)
        if size > rows:
            batch = np.concatenate([batch, np.zeros((size - rows, *batch.shape[1:]), np.float32)])
        scores, *ood_scores = (value.numpy()[:rows] for value in self._forward_pass(tf.convert_to_tensor(batch)))
        return EngineOutput(scores, ood_scores[0] if ood_scores else None)

    def predict(self, batch: ModelInput) -> Floats:
        """Scores (rows, classes) of any number of rows."""
        step = self.batch_sizes[-1]
        return np.concatenate([self.infer(batch[start : start + step]).scores for start in range(0, len(batch), step)])

    def warm(self) -> None:
        """Call the model once with each batch size, and see that it answers with probabilities.

        Raises ModelFileError where it does not.
        """
        wanted = self.card.input
        for size in self.batch_sizes:
            blank = np.zeros((size, wanted.height, wanted.width, wanted.channels), np.float32)
            if not are_probabilities(self.infer(blank).scores):
                raise ModelFileError(
                    f"{self.card.name} does not answer with probabilities that sum to 1; end the model with a softmax, "
                    "and see that its weights are numbers"
                )

    def close(self) -> None:
        """Let go of nothing: TensorFlow's memory goes with the last reference to the model."""


class TensorFlowLoader:
    """TensorFlow in this process, set up once before anything is loaded."""

    def __init__(
        self,
        device: Device,
        threads: int | None,
        class_names: tuple[str, ...],
        max_batch_size: int,
        limits: ModelFileLimits | None = None,
    ) -> None:
        """Each forward pass uses `threads` threads, and has room for `max_batch_size` rows.

        One thread answers more requests in a second than two do: it needs less CPU time for each image, and the event
        loop keeps its core. None leaves that to TensorFlow, whose threads cannot be changed once it has run anything.
        `class_names` are used where a file has no card. Raises DeviceError where a GPU is asked
        for and there is none.
        """
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._device = _choose_device(device)
        self._class_names = class_names
        self._max_batch_size = max_batch_size
        self._limits = limits or ModelFileLimits()

    def load(self, path: Path, name: str | None = None) -> TensorFlowEngine:
        """The model in the file at `path`, warm. Raises ModelFileError, StorageFailed: see `EngineLoader`."""
        loaded = load_model(path, name, self._class_names, self._max_batch_size, self._limits)
        engine = TensorFlowEngine(loaded, self._device, self._max_batch_size)
        engine.warm()
        return engine

    def device_memory(self) -> int:
        """Bytes of the GPU's memory that TensorFlow uses now; 0 without one."""
        if not tf.config.get_visible_devices("GPU"):
            return 0
        return int(tf.config.experimental.get_memory_info("GPU:0")["current"])


def forward_pass_of(model: keras.Model, card: ModelCard) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
    """What an engine runs, as a function of TensorFlow's: float32 (rows, height, width, channels) → scores, OOD scores.

    The second is missing where the card has nothing to tell it by, or where the logits are out of reach.
    """
    model_shape = model.input_shape[1:]
    before_last, last = _without_last_layer(model), model.layers[-1]
    known = card.familiarity

    def forward_pass(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        shaped = tf.reshape(batch, (-1, *model_shape))
        if before_last is None:
            return (model(shaped, training=False),)
        features = before_last(shaped, training=False)
        logits = tf.matmul(features, last.kernel)
        if last.use_bias:
            logits += last.bias
        scores = tf.nn.softmax(logits)
        return (scores, _ood_scores(known, features, logits)) if known else (scores,)

    return forward_pass


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
    last = model.layers[-1]
    if head_of(last) != "softmax":
        return None
    try:
        return keras.Model(model.inputs, last.input)
    except (AttributeError, ValueError):  # it was built without telling its layers apart
        return None


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
