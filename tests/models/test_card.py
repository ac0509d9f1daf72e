"""The card: its round trip through a model file, and what is said of files that cannot be used."""

import hashlib
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from models.card import FASHION_MNIST_CLASS_NAMES, ImageInput, ModelCard, ModelFileError, read_card, write_card
from models.card_storage import MOST_ATTRIBUTE_BYTES
from models.file_version import file_version
from tests.fakes import FakeEngine


def test_a_card_comes_back_as_it_was_written(model_file: Path) -> None:
    card = FakeEngine.card_for(8, 8, 3).model_copy(update={"name": "écru", "class_names": ("셔츠", "가방", "c")})
    write_card(model_file, card)
    assert read_card(model_file) == card


def test_keras_loads_a_file_with_a_card_as_before(model_file: Path, bare_model_file: Path) -> None:
    with_card, bare = (keras.saving.load_model(path, compile=False) for path in (model_file, bare_model_file))
    assert all(np.array_equal(a, b) for a, b in zip(with_card.get_weights(), bare.get_weights(), strict=True))


def test_the_shipped_files_card_is_whole(shipped_model: Path) -> None:
    card = read_card(shipped_model)
    assert card is not None
    assert card.class_names == FASHION_MNIST_CLASS_NAMES
    assert card.input == ImageInput(height=28, width=28, channels=1, scale=1 / 255, preparation="product-photo")
    assert card.data is not None
    assert card.training is not None
    assert card.evaluation is not None
    assert sum(map(sum, card.evaluation.confusion_matrix)) == card.data.test_pictures == 10_000
    assert card.familiarity is not None
    assert list(card.familiarity.quantiles) == sorted(card.familiarity.quantiles)
    best = min(card.training.history, key=lambda epoch: epoch.validation_loss)
    assert best.epoch == card.training.best_epoch


def test_a_file_without_a_card_has_none(bare_model_file: Path) -> None:
    assert read_card(bare_model_file) is None


def test_a_card_that_is_too_large_is_refused_before_the_file_is_touched(model_file: Path) -> None:
    before = model_file.read_bytes()
    names = tuple(f"class number {index}" for index in range(MOST_ATTRIBUTE_BYTES // 10))
    with pytest.raises(ValueError, match="64,512"):
        write_card(model_file, FakeEngine.card_for(8, 8, 3).model_copy(update={"class_names": names}))
    assert model_file.read_bytes() == before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no model file at .*missing\.h5; train one"):
        read_card(tmp_path / "missing.h5")


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.h5"
    path.write_text("not a model")
    with pytest.raises(ModelFileError, match=r"text\.h5 cannot be read as HDF5"):
        read_card(path)


def test_a_file_cut_short_is_named(tmp_path: Path, bare_model_file: Path) -> None:
    path = tmp_path / "short.h5"
    path.write_bytes(bare_model_file.read_bytes()[:3000])
    with pytest.raises(ModelFileError, match=r"short\.h5 cannot be read as HDF5"):
        read_card(path)


def test_weights_without_a_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.zeros(3)
    with pytest.raises(ModelFileError, match="holds no Keras model"):
        read_card(path)


@pytest.mark.parametrize("content", ["{", '{"name": "x"}', "[]"])
def test_a_broken_card_says_how_to_go_on(model_file: Path, content: str) -> None:
    with h5py.File(model_file, "r+") as file:
        file.attrs["model_card"] = content
    with pytest.raises(ModelFileError, match="remove 'model_card' from the file"):
        read_card(model_file)


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    return path


def test_a_keras_file_has_its_card_as_an_entry_and_is_loaded_as_before(keras_file: Path) -> None:
    assert read_card(keras_file) is None
    before = keras.saving.load_model(keras_file).get_weights()
    for name in ("first", "second"):
        card = FakeEngine.card_for(8, 8, 3).model_copy(update={"name": name, "class_names": ("셔츠", "b", "c")})
        write_card(keras_file, card)
        assert read_card(keras_file) == card
    with zipfile.ZipFile(keras_file) as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5", "model_card.json"]
    assert all(map(np.array_equal, keras.saving.load_model(keras_file).get_weights(), before))
    assert [file.name for file in keras_file.parent.iterdir()] == ["model.keras"]


def test_a_keras_file_has_room_for_a_larger_card_but_not_for_any(keras_file: Path) -> None:
    names = tuple(f"class number {index}" for index in range(10_000))
    write_card(keras_file, FakeEngine.card_for(8, 8, 3).model_copy(update={"class_names": names}))
    before = keras_file.read_bytes()
    with pytest.raises(ValueError, match="4,194,304"):
        write_card(keras_file, FakeEngine.card_for(8, 8, 3).model_copy(update={"name": "x" * (5 << 20)}))
    assert keras_file.read_bytes() == before
    with (
        zipfile.ZipFile(keras_file, "a", zipfile.ZIP_DEFLATED) as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("model_card.json", b" " * (5 << 20))
    with pytest.raises(ModelFileError, match="more than 4,194,304 bytes"):
        read_card(keras_file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"PK\x03\x04", "cannot be read as HDF5 or zip"), (None, "is a zip, but holds no Keras model")],
)
def test_a_zip_that_is_no_keras_file_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"")
    if content:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=reason):
        read_card(path)


def test_a_card_of_many_brackets_is_no_card(model_file: Path) -> None:
    with h5py.File(model_file, "r+") as file:
        file.attrs["model_card"] = "[" * 60_000
    with pytest.raises(ModelFileError, match="remove 'model_card' from the file"):
        read_card(model_file)


def test_class_names_must_differ() -> None:
    with pytest.raises(ValueError, match="two classes have the same name"):
        ModelCard(name="x", class_names=("a", "a"), input=ImageInput(height=1, width=1, channels=1, scale=1))


def test_the_version_is_the_head_of_the_files_sha256(model_file: Path) -> None:
    assert file_version(model_file) == hashlib.sha256(model_file.read_bytes()).hexdigest()[:12]
