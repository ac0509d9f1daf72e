"""From a model file to a classifier that is loaded and warm. Knows no HTTP and no queue."""

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from models.card import ImageInput, ModelFileError, assumed_card, read_card
from service.engines.tensorflow import TensorFlowEngine
from service.model_files.snapshot import snapshot
from service.settings import Device

DEFAULT_MOST_BYTES = 1 << 30
MOST_PARAMETERS = 500_000_000
MOST_BYTES_OF_A_LAYER = 2 << 30


class DeviceError(Exception):
    """The device that was asked for is not there. The text says what to do."""


def limit_threads(count: int) -> None:
    """Let each forward pass use `count` threads. To be called before TensorFlow does anything else.

    One thread answers more requests in a second than two do: it needs less CPU time for each image, and the event
    loop keeps its core.
    """
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def device_memory() -> int:
    """Bytes of the GPU's memory that TensorFlow uses now; 0 without one."""
    if not tf.config.get_visible_devices("GPU"):
        return 0
    return int(tf.config.experimental.get_memory_info("GPU:0")["current"])


def load_classifier(
    path: Path,
    device: Device,
    class_names: tuple[str, ...],
    max_batch_size: int,
    max_bytes: int = DEFAULT_MOST_BYTES,
    sha256: str | None = None,
) -> tuple[TensorFlowEngine, str]:
    """A classifier from the `.h5` at `path`, and in words where its card comes from.

    The file is copied and looked into first, see `service.model_files.snapshot`. The classifier is warmed for batches
    of 1 to `max_batch_size`. `class_names` are used where the file has no card. Raises ModelFileError or DeviceError.
    """
    device_name = _choose_device(device)
    with snapshot(path, max_bytes, sha256) as (copy, version):
        return _load(path, copy, version, device_name, class_names, max_batch_size)


def _load(
    path: Path, copy: Path, version: str, device_name: str, class_names: tuple[str, ...], max_batch_size: int
) -> tuple[TensorFlowEngine, str]:
    card = read_card(copy)
    _check_sizes(path, copy, max_batch_size)
    try:
        model = keras.saving.load_model(copy, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a model that it cannot build
        reason = str(error).strip().splitlines()[0]
        raise ModelFileError(
            f"Keras {keras.__version__} cannot load {path} ({reason}); save it with that version, without Lambda or "
            "custom layers"
        ) from error
    height, width, channels, classes = _image_shape(model, path)
    if card is None:
        card, names_source = assumed_card(
            path.stem,
            height,
            width,
            channels,
            classes,
            rescales_itself=any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers[:2]),
            class_names=class_names,
        )
        source = (
            f"the file has no card: pixels are multiplied by {card.input.scale:.4g}, class names are {names_source}"
        )
    else:
        source = "card read from the file"
    _check_fit(card.input, len(card.class_names), (height, width, channels, classes), path)
    classifier = TensorFlowEngine(model, card, version, device_name, max_batch_size)
    classifier.warm()
    return classifier, source


def _check_sizes(path: Path, copy: Path, max_batch_size: int) -> None:
    """Raises ModelFileError where the model would need more memory than it may; nothing of it is allocated here."""
    with h5py.File(copy) as file:
        description = json.loads(file.attrs["model_config"])
    try:
        with keras.StatelessScope(initialize_variables=False):
            kind = keras.Sequential if description["class_name"] == "Sequential" else keras.Model
            model = kind.from_config(description["config"])
        parameters = sum(int(np.prod(variable.shape)) for variable in model.variables)
        largest = max((_output_size(layer) for layer in model.layers), default=0)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelFileError(f"{path}: Keras cannot build the model that the file describes ({reason})") from error
    if parameters > MOST_PARAMETERS:
        raise ModelFileError(f"{path} describes {parameters:,} parameters, and at most {MOST_PARAMETERS:,} are loaded")
    needed = largest * np.dtype(np.float32).itemsize * max_batch_size
    if needed > MOST_BYTES_OF_A_LAYER:
        raise ModelFileError(
            f"{path}: one layer needs {needed:,} bytes for {max_batch_size} images, and at most "
            f"{MOST_BYTES_OF_A_LAYER:,} are used; take a lower --max-batch-size, or a model of smaller maps"
        )


def _output_size(layer: Any) -> int:
    shape = getattr(getattr(layer, "output", None), "shape", None) or ()
    return int(np.prod([size or 1 for size in shape[1:]], dtype=np.float64))


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


def _image_shape(model: keras.Model, path: Path) -> tuple[int, int, int, int]:
    """Height, width, channels and classes of an image classifier. Raises ModelFileError for any other model."""
    try:
        taken, given = model.input_shape, model.output_shape
        (_, height, width), channels = taken[:3], taken[3] if len(taken) == 4 else 1
        (_, classes) = given
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise _unfit(model, path) from error
    if len(taken) > 4 or not all(isinstance(size, int) for size in (height, width, channels, classes)) or classes < 2:
        raise _unfit(model, path)
    return height, width, channels, classes


def _unfit(model: keras.Model, path: Path) -> ModelFileError:
    taken, given = (
        getattr(model, "input_shape", "nothing defined"),
        getattr(model, "output_shape", "nothing defined"),
    )
    return ModelFileError(
        f"{path} is no image classifier: it takes {taken} and gives {given}, expected one input (batch, height, width, "
        "channels) of fixed size and one output (batch, classes) with a softmax over 2 classes or more"
    )


def _check_fit(wanted: ImageInput, names: int, shape: tuple[int, int, int, int], path: Path) -> None:
    said = (wanted.height, wanted.width, wanted.channels, names)
    if said != shape:
        raise ModelFileError(
            f"{path}: card or settings name (height, width, channels, classes) = {said}, but the model has {shape}; "
            "train the model again, or give as many class names as it has classes"
        )
