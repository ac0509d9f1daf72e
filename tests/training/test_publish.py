"""What is published answers as the network in memory does, in both formats and whatever its layers are."""

from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from models.card import ImageInput, ModelCard, read_card
from training.base import layers_of
from training.publish import check_writable, publish

CLASSES = ("a", "b", "c")
IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype(np.float32)
CARD = ModelCard(name="net", class_names=CLASSES, input=ImageInput(height=32, width=32, channels=3, scale=1))


def classifier(*body: keras.Layer) -> keras.Sequential:
    last = layers.Dense(len(CLASSES), activation="softmax")
    return keras.Sequential([keras.Input(IMAGES.shape[1:]), *body, layers.GlobalAveragePooling2D(), last])


def adapted() -> layers.Normalization:
    layer = layers.Normalization()
    layer.adapt(IMAGES)
    return layer


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((32, 32, 3)), adapted(), layers.Conv2D(4, 3), layers.BatchNormalization()])
    outer = keras.Sequential([keras.Input((32, 32, 3)), inner, layers.ReLU()])
    return classifier(outer)


def mobile_net() -> keras.Model:
    body = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg")
    inputs = keras.Input((32, 32, 3))
    features = body(layers.Rescaling(1 / 127.5, offset=-1)(inputs), training=False)
    return keras.Model(inputs, layers.Dense(len(CLASSES), activation="softmax")(features))


def compiled(network: keras.Model) -> keras.Model:
    network.compile("adam", loss="sparse_categorical_crossentropy")
    network.optimizer.build(network.trainable_variables)
    return network


MADE: dict[str, Callable[[], keras.Model]] = {
    "rescaling": lambda: classifier(layers.Rescaling(1 / 255), layers.Conv2D(4, 3)),
    "adapted normalization": lambda: classifier(adapted(), layers.Conv2D(4, 3)),
    "random flip": lambda: classifier(layers.RandomFlip(), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)),
    "nested": nested,
    "mobile net": mobile_net,
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", MADE)
def test_the_published_file_answers_as_the_network_in_memory(tmp_path: Path, suffix: str, name: str) -> None:
    keras.utils.set_random_seed(1)
    network = compiled(MADE[name]())
    network(IMAGES, training=True)  # by which normalization remembers a mean that its configuration does not know
    output = tmp_path / "models" / f"net{suffix}"
    check_writable(output)
    publish(network, CARD, output)
    assert [file.name for file in output.parent.iterdir()] == [output.name]
    assert read_card(output) == CARD
    loaded = keras.saving.load_model(output)
    assert not loaded.compiled
    if suffix == ".h5" and name == "nested":
        # All of it is in the file. Keras does not restore it in a model inside a model; the service and `--base` do.
        next(layer for layer in layers_of(loaded) if isinstance(layer, layers.Normalization)).finalize_state()
    assert np.array_equal(loaded(IMAGES, training=False), network(IMAGES, training=False))


def test_neither_format_has_the_optimizers_state(tmp_path: Path) -> None:
    network = compiled(MADE["rescaling"]())
    for suffix in (".h5", ".keras"):
        publish(network, CARD, tmp_path / f"net{suffix}")
    with h5py.File(tmp_path / "net.h5") as file:
        assert "optimizer_weights" not in file
    network.save(tmp_path / "with-state.keras")
    assert (tmp_path / "net.keras").stat().st_size < (tmp_path / "with-state.keras").stat().st_size
    # The network itself can be fitted further.
    assert network.optimizer is not None
