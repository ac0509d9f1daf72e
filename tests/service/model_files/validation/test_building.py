"""What a description need not say for Keras to build the same model, and how much it may say."""

import json
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from models.card import ModelFileError
from models.specification import Facts
from service.model_files.loading import load_model
from service.model_files.snapshot import ModelFileLimits, snapshot
from service.model_files.validation.building import check_building, quick_to_build
from service.model_files.validation.hdf5_copy import copy_model
from tests.attacks import model_files as attacks

IMAGES = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)


def network() -> keras.Model:
    """With initial values of many kinds, and weights beyond what they would be: those of a model that was fitted."""
    start = keras.Input((8, 8, 3))
    values = layers.Conv2D(4, 3, kernel_initializer="orthogonal", bias_initializer="ones")(start)
    values = layers.PReLU(alpha_initializer=keras.initializers.Constant(0.3), shared_axes=[1, 2])(values)
    values = layers.BatchNormalization(gamma_initializer="random_uniform", moving_variance_initializer="ones")(values)
    values = layers.Reshape((6, 24))(layers.DepthwiseConv2D(3, padding="same")(values))
    values = layers.Bidirectional(layers.LSTM(3, recurrent_initializer="orthogonal", unroll=True))(values)
    values = layers.Dense(4, kernel_initializer=keras.initializers.IdentityInitializer())(values)
    model = keras.Model(start, layers.Dense(3, kernel_initializer="he_normal", activation="softmax")(values))
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 1, weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("form", ["h5", "keras"])
def test_initial_values_are_left_out_and_the_answers_stay(form: str, tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / f"model.{form}")
    loaded = load_model(tmp_path / f"model.{form}", Facts(), ModelFileLimits()).model
    assert np.asarray(loaded(IMAGES)) == pytest.approx(np.asarray(model(IMAGES)), abs=1e-6)
    described = json.dumps(loaded.get_config())
    assert "Orthogonal" not in described
    assert '"unroll": true' not in described


def test_weights_that_are_missing_are_told_though_zeros_would_do(tmp_path: Path) -> None:
    for name, place in (("a.h5", "model_weights/dense/bias"), ("b.h5", "model_weights/dense")):
        attacks.hdf5(tmp_path / name, attacks.plain(), lambda file, place=place: file.__delitem__(place))
    attacks.keras_zip(tmp_path / "a.keras", attacks.plain(), lambda file: file.__delitem__("layers/dense/vars/1"))
    attacks.keras_zip(tmp_path / "b.keras", attacks.plain(), lambda file: file.__delitem__("layers"))
    for name in ("a.h5", "b.h5", "a.keras", "b.keras"):
        with pytest.raises(ModelFileError, match=r"weights are missing"):
            load_model(tmp_path / name, Facts(), ModelFileLimits())


def test_weights_that_belong_to_nothing_do_not_make_up_for_those_that_are_missing(tmp_path: Path) -> None:
    def move(file: h5py.File) -> None:
        file.move("layers/dense/vars/1", "layers/odd/vars/1")

    attacks.keras_zip(tmp_path / "a.keras", attacks.plain(), move)
    with pytest.raises(ModelFileError, match="cannot load"):
        load_model(tmp_path / "a.keras", Facts(), ModelFileLimits())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_weights_of_other_types_stay_as_they_are(dtype: str, tmp_path: Path) -> None:
    start = keras.Input((8, 8, 3))
    model = keras.Model(start, layers.Dense(3, activation="softmax", dtype=dtype)(layers.Flatten()(start)))
    model.save(tmp_path / "model.keras")
    with snapshot(tmp_path / "model.keras", ModelFileLimits()) as copy:
        loaded = keras.saving.load_model(copy.path, compile=False)
    for given, kept in zip(model.weights, loaded.weights, strict=True):
        assert kept.dtype == dtype
        assert np.array_equal(np.asarray(given, np.float64), np.asarray(kept, np.float64))


def test_many_names_are_kept_in_their_order(tmp_path: Path) -> None:
    names = [f"weight{place:05}".encode() for place in range(2_500)]

    def fill(file: h5py.File) -> None:
        dense = file["model_weights/dense"]
        del dense.attrs["weight_names"]
        for part in range(3):  # as Keras keeps lists that are longer than an attribute
            dense.attrs[f"weight_names{part}"] = names[part * 1000 : (part + 1) * 1000]

    attacks.hdf5(tmp_path / "many.h5", attacks.plain(), fill)
    copy_model(tmp_path / "many.h5", tmp_path / "copy.h5", 1 << 20)
    with h5py.File(tmp_path / "copy.h5") as file:
        attributes = file["model_weights/dense"].attrs
        assert [name.encode() for part in range(3) for name in attributes[f"weight_names{part}"]] == names


def chain(count: int, *, backwards: bool) -> dict[str, Any]:
    found = [attacks.layer(f"a{place}", "ReLU", f"a{place - 1}" if place else "start") for place in range(count)]
    return attacks.functional(attacks.start(4), *(reversed(found) if backwards else found), out=f"a{count - 1}")


def test_networks_of_a_thousand_layers_may_be_built_and_a_few_in_disorder() -> None:
    check_building(chain(1_500, backwards=False))
    check_building(chain(100, backwards=True))


def test_layers_that_are_shared_may_be_called_in_turns() -> None:
    """A(B(A(B(x)))): each waits for the other."""
    first = [attacks.tensor("start"), *(attacks.tensor("b", call) for call in range(20))]
    second = [attacks.tensor("a", call) for call in range(21)]
    turns = [
        attacks.layer(name, "ReLU") | {"inbound_nodes": [{"args": [one], "kwargs": {}} for one in given]}
        for name, given in (("b", second), ("a", first))
    ]
    check_building(attacks.functional(attacks.start(4), *turns, out="b", call=20))


def test_what_no_keras_writes_is_told() -> None:
    for config in ({}, {"layers": 1}, {"layers": [{}]}, {"layers": [{"name": "a", "inbound_nodes": [[["b"]]]}]}):
        with pytest.raises(ModelFileError, match="not as any Keras writes it"):
            check_building({"class_name": "Functional", "config": config} if config else config)


def test_all_else_of_a_description_stays() -> None:
    described = chain(3, backwards=False)
    assert quick_to_build(described) == described
