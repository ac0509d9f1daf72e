"""Real Keras models, converted by the real converter: they answer as TensorFlow does, or TensorFlow answers."""

import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
from keras import layers

from models.card import ModelFileError
from models.preprocessing import scaled
from models.specification import Facts
from service.engines.base import Engine, EngineLoader
from service.engines.light import loader as light_loader
from service.engines.light.converter import comparison_images
from service.engines.light.engine import LightEngine
from service.engines.light.loader import LightLoader
from service.engines.tensorflow import TensorFlowEngine
from service.model_files.snapshot import ModelFileLimits
from tests.applications import tensorflow_engine
from tests.samples import CONVERTED, SAMPLE_FILES, needs_full_set, pixels_of
from training.data import load_fashion_mnist

Save = Callable[..., Path]


def light_engine(path: Path, **options: object) -> LightEngine:
    engine = LightLoader(Facts(**options), ModelFileLimits(), CONVERTED).load(path)
    assert isinstance(engine, LightEngine)
    return engine


def sample_input() -> np.ndarray:
    return np.stack([pixels_of(file) for file in SAMPLE_FILES])[..., np.newaxis].astype(np.float32) / 255


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(*stack: layers.Layer, name: str = "model.keras") -> Path:
        keras.utils.set_random_seed(3)
        path = tmp_path / name
        keras.Sequential(stack).save(path)
        return path

    return save


def test_it_answers_as_keras_does_whatever_the_number_of_rows(shipped_model: Path) -> None:
    engine, images = light_engine(shipped_model), sample_input()
    keras_engine = tensorflow_engine(shipped_model)
    expected = keras_engine.infer(images)
    for rows in (1, 2, 3, 7, 8, 9, 64, 65, 200):
        found = engine.infer(images[:rows])
        assert found.scores.dtype == np.float32
        assert np.abs(found.scores - expected.scores[:rows]).max() < 1e-5
        assert found.ood_scores == pytest.approx(expected.ood_scores[:rows], abs=1e-3)
        assert found.outputs is None
    assert engine.card == keras_engine.card
    assert engine.findings == keras_engine.findings
    assert engine.summary == keras_engine.summary
    assert (engine.version, engine.units, engine.device) == (keras_engine.version, 10, "CPU")


@needs_full_set
def test_no_answer_to_the_ten_thousand_test_images_changes(shipped_model: Path) -> None:
    engine = light_engine(shipped_model)
    images = scaled(load_fashion_mnist(None, 0.2, 42).test_pictures, engine.card.input)
    found, expected = engine.infer(images).scores, tensorflow_engine(shipped_model).infer(images).scores
    assert len(found) == 10_000
    assert np.abs(found - expected).max() <= 1e-5
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("last", "options"),
    [
        (layers.Dense(5, "softmax"), {}),
        (layers.Dense(5), {"head": "logits"}),
        (layers.Dense(1), {"head": "logits"}),
        (layers.Dense(1, "sigmoid"), {}),
        (layers.Dense(5, "sigmoid"), {"head": "multi-label"}),
    ],
)
def test_every_head_gives_probabilities_and_the_models_own_output(
    save: Save, last: layers.Layer, options: dict[str, str]
) -> None:
    path = save(layers.Input((16, 12, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), last)
    engine, expected = light_engine(path, **options), tensorflow_engine(path, options=Facts(**options))
    images = comparison_images(engine.card.input)
    found, wanted = engine.infer(images), expected.infer(images)
    assert found.scores == pytest.approx(wanted.scores, abs=1e-5)
    assert (found.outputs is None) == (wanted.outputs is None)
    if wanted.outputs is not None:
        assert found.outputs == pytest.approx(wanted.outputs, abs=1e-4)


def test_a_model_whose_layers_are_large_is_called_with_fewer_rows(save: Save) -> None:
    large = save(
        layers.Input((256, 256, 1)), layers.Conv2D(32, 1), layers.GlobalMaxPooling2D(), layers.Dense(2, "softmax")
    )
    engine = light_engine(large)
    assert engine._model.batch_sizes == (2, 1)
    images = comparison_images(engine.card.input)[:3]
    assert engine.infer(images).scores == pytest.approx(tensorflow_engine(large).infer(images).scores, abs=1e-5)


def test_recurrent_layers_are_called_with_one_row_at_a_time(save: Save) -> None:
    path = save(
        layers.Input((12, 12, 1)),
        layers.Conv2D(4, 3),
        layers.Reshape((10, 40)),
        layers.LSTM(8),
        layers.Dense(3, "softmax"),
    )
    engine = light_engine(path)
    images = comparison_images(engine.card.input)
    assert engine.infer(images).scores == pytest.approx(tensorflow_engine(path).infer(images).scores, abs=1e-5)


class Elsewhere:
    """Stands for TensorFlow's loader."""

    def __init__(self) -> None:
        self.set_up = 0

    def __call__(self) -> EngineLoader:
        self.set_up += 1
        return self

    def load(self, path: Path, name: str | None = None) -> Engine:
        return tensorflow_engine(path, options=Facts(name=name))

    def device_memory(self) -> int:
        return 7


def test_what_litert_cannot_run_tensorflow_runs_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    images = keras.Input((8, 8, 1))
    angles = keras.ops.arctan(layers.Flatten()(images))  # an operation that LiteRT has not
    path = tmp_path / "model.keras"
    keras.Model(images, layers.Dense(3, "softmax")(angles)).save(path)
    elsewhere = Elsewhere()
    loader = LightLoader(Facts(), ModelFileLimits(), tmp_path / "kept", fallback=elsewhere)
    assert loader.device_memory() == 0
    for name in ("a", "b"):
        assert isinstance(loader.load(path, name), TensorFlowEngine)
    assert elsewhere.set_up == 1
    assert loader.device_memory() == 7
    assert "TensorFlow runs it and not the light engine: it cannot be converted ('tf.Atan' op" in caplog.text
    alone = LightLoader(Facts(), ModelFileLimits(), tmp_path / "kept")
    with pytest.raises(ModelFileError, match="use --engine auto"):
        alone.load(path)


def test_a_model_that_gives_no_probabilities_is_refused_in_the_same_words(save: Save) -> None:
    path = save(layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, "relu"))
    words = []
    for load in (light_engine, lambda path, **options: tensorflow_engine(path, options=Facts(**options))):
        with pytest.raises(ModelFileError) as caught:
            load(path, head="softmax")
        words.append(str(caught.value))
    assert words[0] == words[1]
    assert "does not answer with probabilities" in words[0]


@pytest.mark.parametrize(
    ("options", "limits", "text"),
    [
        ({}, ModelFileLimits(1000), "more than the 1,000 bytes"),
        ({}, ModelFileLimits(sha256="0" * 64), "expected 0000"),
        ({"class_names": ("a", "b")}, ModelFileLimits(), "names 2 classes, but the model has 10"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_as_always(
    shipped_model: Path, options: dict[str, object], limits: ModelFileLimits, text: str
) -> None:
    with pytest.raises(ModelFileError, match=re.escape(text)):
        LightLoader(Facts(**options), limits, CONVERTED).load(shipped_model)


def test_a_file_that_is_replaced_while_it_is_converted_is_converted_anew(
    save: Save, shipped_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, "softmax"))
    real, asked = light_loader.run_converter, []

    def after_another_came(request: light_loader.ConversionRequest) -> light_loader.ConversionResult:
        if not asked:
            path.write_bytes(shipped_model.read_bytes())
        asked.append(request.sha256)
        return real(request)

    monkeypatch.setattr(light_loader, "run_converter", after_another_came)
    engine = LightLoader(Facts(), ModelFileLimits(), tmp_path / "kept").load(path)
    assert len(asked) == 2
    assert engine.version == asked[1][:12]
    assert len(engine.card.class_names) == 10


def test_the_converter_leaves_nothing_behind_when_it_is_given_up(
    shipped_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(light_loader, "_answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LightLoader(Facts(), ModelFileLimits(), tmp_path / "kept").load(shipped_model)
    assert not [child for child in psutil.Process().children() if light_loader.CONVERTER in child.cmdline()]
    assert not [entry for entry in (tmp_path / "kept").iterdir() if entry.is_dir()]
