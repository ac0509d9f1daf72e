"""Loads a Keras image classifier, warms it, and calls it. Knows no HTTP and no queue."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.card import ModelCard, ModelFileError, PictureInput, assumed_card, file_version, read_card
from models.familiarity import FamiliarityMeasure
from models.picture import NetworkInput
from service.settings import Device

Floats = npt.NDArray[np.float32]


def batch_sizes(largest: int) -> tuple[int, ...]:
    """The sizes of batches that are warmed, and to which all others are padded: 1 to 8, then four to each doubling.

    Each new size costs a new oneDNN primitive, and each row of padding as much as a picture.
    """
    return (*(size for size in range(1, largest) if size % max(1, 2 ** (size - 1).bit_length() // 8) == 0), largest)


class Answers(NamedTuple):
    """What the network says of a batch: probabilities (rows, classes), and for each row how familiar it is, 0 to 1.

    `familiarity` is None where the card has nothing to tell it by, or where the network does not end in a dense layer
    with a softmax.
    """

    probabilities: Floats
    familiarity: npt.NDArray[np.float64] | None


class DeviceError(Exception):
    """The device that was asked for is not there. The text says what to do."""


class Classifier:
    """A loaded network, its card and version, and one compiled function that answers for it.

    Everything here must be called from one thread, except the plain attributes.
    """

    def __init__(self, network: keras.Model, card: ModelCard, version: str, device: str, max_batch_size: int) -> None:
        self.batch_sizes = batch_sizes(max_batch_size)
        self.network = network
        self.card = card
        self.version = version
        self.device = device
        wanted = card.input
        network_shape = network.input_shape[1:]
        before_last = _without_last_layer(network)
        last = network.layers[-1]
        self._familiarity = FamiliarityMeasure(card.familiarity) if card.familiarity and before_last else None

        # Traced once, for a batch of any size: model.predict costs 70 times as much for one picture, model(x) 8 times,
        # and a tf.function that looks up its trace at each call a quarter more.
        @tf.function  # type: ignore[untyped-decorator]
        def call(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
            shaped = tf.reshape(batch, (-1, *network_shape))
            if before_last is None:
                return (network(shaped, training=False),)
            features = before_last(shaped, training=False)
            logits = tf.matmul(features, last.kernel)
            if last.use_bias:
                logits += last.bias
            return tf.nn.softmax(logits), features, logits

        self._call = call.get_concrete_function(
            tf.TensorSpec((None, wanted.height, wanted.width, wanted.channels), tf.float32)
        )

    def predict(self, batch: NetworkInput) -> Floats:
        """Probabilities (rows, classes) of float32 pictures (rows, height, width, channels) as `scaled` makes them."""
        step = self.batch_sizes[-1]
        answers = [self.answer(batch[start : start + step]).probabilities for start in range(0, len(batch), step)]
        return np.concatenate(answers)

    def answer(self, batch: NetworkInput) -> Answers:
        """The same and more, of 1 to `max_batch_size` pictures."""
        rows = len(batch)
        size = next(size for size in self.batch_sizes if size >= rows)
        if size > rows:
            batch = np.concatenate([batch, np.zeros((size - rows, *batch.shape[1:]), np.float32)])
        probabilities, *inside = (value.numpy()[:rows] for value in self._call(tf.convert_to_tensor(batch)))
        return Answers(probabilities, self._familiarity(*inside) if self._familiarity else None)

    def memory_in_use(self) -> int:
        """Bytes of the GPU's memory that TensorFlow uses now; 0 on a CPU."""
        if self.device == "CPU":
            return 0
        return int(tf.config.experimental.get_memory_info("GPU:0")["current"])

    def warm(self) -> None:
        """Call the network once with each batch size, and see that it answers with probabilities.

        Raises ModelFileError where it does not.
        """
        wanted = self.card.input
        for size in self.batch_sizes:
            blank = np.zeros((size, wanted.height, wanted.width, wanted.channels), np.float32)
            answer = self.predict(blank)
        if not (np.isfinite(answer).all() and (answer >= 0).all() and np.allclose(answer.sum(axis=1), 1, atol=1e-3)):
            raise ModelFileError(
                f"{self.card.name} does not answer with probabilities that sum to 1; end the network with a softmax, "
                "and see that its weights are numbers"
            )


def limit_threads(count: int) -> None:
    """Let each call of the network use `count` threads. To be called before TensorFlow does anything else.

    One thread answers more requests in a second than two do: it needs less CPU time for each picture, and the event
    loop keeps its core.
    """
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def load_classifier(
    path: Path, device: Device, class_names: tuple[str, ...], max_batch_size: int
) -> tuple[Classifier, str]:
    """A classifier from the `.h5` at `path`, and in words where its card comes from.

    It is warmed for batches of 1 to `max_batch_size`. `class_names` are used where the file has no card. Raises
    ModelFileError or DeviceError.
    """
    card = read_card(path)
    device_name = _choose_device(device)
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a model that it cannot build
        reason = str(error).strip().splitlines()[0]
        raise ModelFileError(
            f"Keras {keras.__version__} cannot load {path} ({reason}); save it with that version, without Lambda or "
            "custom layers"
        ) from error
    height, width, channels, classes = _picture_shape(network, path)
    if card is None:
        card, names_source = assumed_card(
            path.stem,
            height,
            width,
            channels,
            classes,
            rescales_itself=any(isinstance(layer, keras.layers.Rescaling) for layer in network.layers[:2]),
            class_names=class_names,
        )
        source = (
            f"the file has no card: pixels are multiplied by {card.input.scale:.4g}, class names are {names_source}"
        )
    else:
        source = "card read from the file"
    _check_fit(card.input, len(card.class_names), (height, width, channels, classes), path)
    classifier = Classifier(network, card, file_version(path), device_name, max_batch_size)
    classifier.warm()
    return classifier, source


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


def _without_last_layer(network: keras.Model) -> keras.Model | None:
    """The network up to the logits' layer, or None where it does not end in a dense layer with a softmax."""
    last = network.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.softmax:
        return None
    try:
        return keras.Model(network.inputs, last.input)
    except (AttributeError, ValueError):  # it was built without telling its layers apart
        return None


def _picture_shape(network: keras.Model, path: Path) -> tuple[int, int, int, int]:
    """Height, width, channels and classes of an image classifier. Raises ModelFileError for any other network."""
    try:
        taken, given = network.input_shape, network.output_shape
        (_, height, width), channels = taken[:3], taken[3] if len(taken) == 4 else 1
        (_, classes) = given
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise _unfit(network, path) from error
    if len(taken) > 4 or not all(isinstance(size, int) for size in (height, width, channels, classes)) or classes < 2:
        raise _unfit(network, path)
    return height, width, channels, classes


def _unfit(network: keras.Model, path: Path) -> ModelFileError:
    taken, given = (
        getattr(network, "input_shape", "nothing defined"),
        getattr(network, "output_shape", "nothing defined"),
    )
    return ModelFileError(
        f"{path} is no image classifier: it takes {taken} and gives {given}, expected one input (batch, height, width, "
        "channels) of fixed size and one output (batch, classes) with a softmax over 2 classes or more"
    )


def _check_fit(wanted: PictureInput, names: int, shape: tuple[int, int, int, int], path: Path) -> None:
    said = (wanted.height, wanted.width, wanted.channels, names)
    if said != shape:
        raise ModelFileError(
            f"{path}: card or settings name (height, width, channels, classes) = {said}, but the network has {shape}; "
            "train the model again, or give as many class names as it has classes"
        )
