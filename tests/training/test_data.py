"""Where Fashion-MNIST comes from, that it is the real one, and how it is split."""

import gzip
import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.samples import needs_full_set
from training import data
from training.data import DIGESTS, DataError, load_fashion_mnist, split_indices


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("count", "share", "seed", "kept", "held_out"),
    [
        (
            60_000, 0.2, 42,
            "fbed35fadaa6fe07e0bc75b6860a4a231edcdfbec52c25d1ec651a62a82ede12",
            "f37b044388c5b542804e2b2af766cf562fa16ee0a5033eea68517899dd936703",
        ),
        (
            200, 0.2, 42,
            "e913b1d417117ff1ccce3de3a386405cbcf73252a46391a2da8d97ef852c5b03",
            "113521505e9ef005030d4bbf2d7e233466bd699cc0844bb6b13061e21993c1d1",
        ),
        (
            201, 0.33, 7,
            "83616599080f4393ba75eed0ab217bda0bfef18efe074625c1e5b37ce882602d",
            "12c308194d4dc37b20bd08e8bd9ca0c1c494449275a9b42d9e33758f3a67ba85",
        ),
    ],
)  # fmt: skip
def test_the_split_is_scikit_learns(count: int, share: float, seed: int, kept: str, held_out: str) -> None:
    # The digests are of what train_test_split(np.arange(count), …) of scikit-learn 1.9.1 returned.
    assert tuple(map(sha256, split_indices(count, share, seed))) == (kept, held_out)


@pytest.mark.parametrize("share", [0, 1, 0.999])
def test_a_split_with_an_empty_side_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="leaves one side empty"):
        split_indices(10, share, 42)


@needs_full_set
def test_the_real_set_is_found_and_whole() -> None:
    split = load_fashion_mnist(None, 0.2, 42)
    assert split.training_pictures.shape == (48_000, 28, 28, 1)
    assert split.validation_pictures.shape == (12_000, 28, 28, 1)
    assert split.test_pictures.shape == (10_000, 28, 28, 1)
    assert np.bincount(split.test_labels).tolist() == [1000] * 10
    assert split.class_names[split.test_labels[0]] == "Ankle boot"
    assert split.source == str(data.SYSTEM_DIR)


@needs_full_set
def test_plain_files_serve_as_well_as_compressed_ones(tmp_path: Path) -> None:
    for name in DIGESTS:
        (tmp_path / name).write_bytes(gzip.decompress((data.SYSTEM_DIR / f"{name}.gz").read_bytes()))
    assert load_fashion_mnist(tmp_path, 0.2, 42).sha256 == load_fashion_mnist(None, 0.2, 42).sha256


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train-images-idx3-ubyte\.gz .*; the folder must hold"):
        load_fashion_mnist(tmp_path, 0.2, 42)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not compressed", "cannot be read"),
        (gzip.compress(b"something else" * 100, mtime=0)[:-20], "cannot be read"),
        (gzip.compress(b"x", mtime=0)[:12] + b"\xff\xff\xff", "cannot be read"),
        (gzip.compress(b"something else", mtime=0), "is not Fashion-MNIST's file: SHA-256 .* expected c59f468a2f67"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=f"train-images-idx3-ubyte.gz {reason}"):
        load_fashion_mnist(tmp_path, 0.2, 42)


def test_without_the_systems_files_kerass_cache_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "datasets" / "fashion-mnist"
    cache.mkdir(parents=True)
    for name in DIGESTS:
        (cache / f"{name}.gz").write_bytes(gzip.compress(b"x"))
    monkeypatch.setattr(data, "SYSTEM_DIR", tmp_path / "nowhere")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", lambda: pytest.fail("it was downloaded again"))
    with pytest.raises(DataError, match=f"{cache}.*is not Fashion-MNIST's file"):
        load_fashion_mnist(None, 0.2, 42)


def test_a_download_that_fails_says_what_else_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no network")

    monkeypatch.setattr(data, "SYSTEM_DIR", tmp_path / "nowhere")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", fail)
    with pytest.raises(DataError, match=r"no network.*dataset-fashion-mnist.*--data-dir"):
        load_fashion_mnist(None, 0.2, 42)
