"""Makes probabilities mean what they say: one temperature for the softmax, and how far it is off. Knows no data set."""

import keras
import numpy as np
import numpy.typing as npt

from models.head import is_dense_softmax

Images = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

_TEMPERATURES = np.geomspace(0.25, 4, 401)
_BINS = 15


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """What the logits are to be divided by so that the cross-entropy is lowest, between 0.25 and 4.

    `probabilities` (images, classes) are the network's for held-out images. The method is temperature scaling
    (Guo and others, "On calibration of modern neural networks", 2017, arXiv:1706.04599, section 4.2).
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12))
    return float(min(_TEMPERATURES, key=lambda temperature: _cross_entropy(logits / temperature, labels)))


def divide_logits(network: keras.Model, temperature: float) -> None:
    """Divide the logits by `temperature`, in the weights of the last layer. Raises ValueError: see `_softmax_layer`."""
    last = _softmax_layer(network)
    last.set_weights([weights / np.float32(temperature) for weights in last.get_weights()])


def features_and_logits(network: keras.Model, images: keras.utils.PyDataset | Images) -> tuple[Images, Images]:
    """The input of the last layer (images, units), and its logits (images, classes).

    Images that are given as an array are scaled already. Raises ValueError: see `_softmax_layer`.
    """
    last = _softmax_layer(network)
    features = keras.Model(network.inputs[0], last.input).predict(images, verbose=0)
    kernel, *bias = last.get_weights()
    return features, features @ kernel + sum(bias)


def softmax(logits: Images) -> Probabilities:
    """Probabilities of logits, both (images, classes)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def expected_calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """How far the highest probability is from the share of right answers, on average over 15 bins of it; 0 to 1.

    As Guo and others define it in section 2.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = (abs(float(np.sum(right[bins == number] - confidence[bins == number]))) for number in range(_BINS))
    return sum(gaps) / len(labels)


def _softmax_layer(network: keras.Model) -> keras.layers.Layer:
    """The last layer. Raises ValueError where it is not dense with a softmax."""
    last = network.layers[-1]
    if not is_dense_softmax(last):
        raise ValueError(f"{last.name} is a {type(last).__name__}, expected a Dense with a softmax")
    return last


def _cross_entropy(logits: npt.NDArray[np.float64], labels: Labels) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - chosen))
