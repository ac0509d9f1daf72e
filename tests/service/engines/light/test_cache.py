"""A converted model is found again by all that it was made from, and believed only where nobody else could write."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.file_version import sha256_of
from models.specification import Facts, Source
from service.engines.light import cache
from service.engines.light.cache import ConversionCache, key_of
from service.engines.light.converted import DESCRIPTION, MODEL, ConversionResult, ConvertedModel
from service.errors import StorageFailed
from tests.fakes import FakeEngine

SHA256 = "a" * 64
CONTENT = b"for LiteRT"
Convert = Callable[[Path], ConversionResult]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture(autouse=True)
def passing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "passing"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder / "converted"


@pytest.fixture
def made() -> list[Path]:
    """The folders in which something was converted."""
    return []


@pytest.fixture
def convert(made: list[Path]) -> Convert:
    def convert(folder: Path) -> ConversionResult:
        made.append(folder)
        assert not list(folder.iterdir())
        (folder / MODEL).write_bytes(CONTENT)
        result = ConversionResult(sha256=SHA256, model=model(), digest=sha256_of(folder / MODEL))
        result.write(folder)
        return result

    return convert


def model() -> ConvertedModel:
    engine = FakeEngine()
    return ConvertedModel.model_validate(
        {
            "card": engine.card,
            "findings": engine.findings,
            "summary": {
                "name": "a",
                "version": "b",
                "input_shape": (4, 4, 1),
                "layers": (),
                "parameters": 0,
                "trainable_parameters": 0,
            },
            "units": 3,
            "embedding_dimension": None,
            "sums_to_one": True,
            "outputs": ("scores",),
            "most_rows": 8,
            "difference": 1e-7,
        }
    )


def test_it_is_made_once_and_found_again(kept: Path, convert: Convert, made: list[Path]) -> None:
    first = ConversionCache(kept)
    assert first.find("key", SHA256) is None
    result, folder = first.make("key", SHA256, convert)
    assert (folder / MODEL).read_bytes() == CONTENT
    for again in (first, ConversionCache(kept)):
        assert again.find("key", SHA256) == (result, folder)
        assert again.make("key", SHA256, convert) == (result, folder)
    assert len(made) == 1
    assert kept.stat().st_mode & 0o077 == 0


def test_a_reason_is_kept_like_a_model(kept: Path, made: list[Path]) -> None:
    def convert(folder: Path) -> ConversionResult:
        made.append(folder)
        result = ConversionResult(sha256=SHA256, reason="it cannot be converted")
        result.write(folder)
        return result

    ConversionCache(kept).make("key", SHA256, convert)
    found = ConversionCache(kept).find("key", SHA256)
    assert found is not None
    assert found.result.reason == "it cannot be converted"


def test_the_key_is_of_all_that_a_conversion_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = [Source(Facts(class_names=("a", "b")), "labels.txt")]
    keys = [
        key_of(SHA256, Facts(), "model", []),
        key_of("b" * 64, Facts(), "model", []),
        key_of(SHA256, Facts(pixels="-1..1"), "model", []),
        key_of(SHA256, Facts(), "other", []),
        key_of(SHA256, Facts(), "model", beside),
    ]
    assert keys[0] == key_of(SHA256, Facts(), "model", [])
    monkeypatch.setattr(cache, "converters", lambda: "others")
    keys.append(key_of(SHA256, Facts(), "model", []))
    assert len(set(keys)) == len(keys)
    assert all(key.isalnum() for key in keys)


def damage_model(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"something else")


def remove_model(folder: Path) -> None:
    (folder / MODEL).unlink()


def cut_description(folder: Path) -> None:
    os.truncate(folder / DESCRIPTION, 20)


def of_another_file(folder: Path) -> None:
    text = (folder / DESCRIPTION).read_text()
    (folder / DESCRIPTION).write_text(text.replace(SHA256, "b" * 64))


@pytest.mark.parametrize("change", [damage_model, remove_model, cut_description, of_another_file])
def test_what_is_not_as_it_was_made_is_made_anew(
    change: Callable[[Path], None], kept: Path, convert: Convert, made: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    place = ConversionCache(kept)
    _, folder = place.make("key", SHA256, convert)
    change(folder)
    assert place.find("key", SHA256) is None
    assert "converted anew" in caplog.text
    assert place.make("key", SHA256, convert).folder == folder
    assert len(made) == 2
    assert place.find("key", SHA256)


def test_nothing_is_believed_in_a_folder_that_others_may_write_to(
    kept: Path, passing: Path, convert: Convert, made: list[Path]
) -> None:
    place = ConversionCache(kept)
    _, folder = place.make("key", SHA256, convert)
    for open_to_others in (kept, folder):
        open_to_others.chmod(0o777)
        assert place.find("key", SHA256) is None
        open_to_others.chmod(0o700)
        assert place.find("key", SHA256)
    kept.chmod(0o770)
    assert place.make("key", SHA256, convert).folder == passing / "key"
    assert len(made) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only the system's owner may give folders away")
def test_nothing_of_another_user_is_believed(kept: Path, passing: Path, convert: Convert) -> None:
    place = ConversionCache(kept)
    _, folder = place.make("key", SHA256, convert)
    os.chown(folder, 12345, 12345)
    assert place.find("key", SHA256) is None
    os.chown(kept, 12345, 12345)
    assert place.make("key", SHA256, convert).folder == passing / "key"


def test_a_link_is_not_followed(kept: Path, convert: Convert, tmp_path: Path) -> None:
    place = ConversionCache(kept)
    _, folder = place.make("key", SHA256, convert)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert place.find("key", SHA256) is None


def test_where_it_cannot_be_kept_it_is_made_for_this_run(
    kept: Path, passing: Path, convert: Convert, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    kept.write_text("a file is in the way")
    place = ConversionCache(kept)
    _, folder = place.make("key", SHA256, convert)
    assert folder == passing / "key"
    assert place.find("key", SHA256)
    assert "for this run only" in caplog.text


def test_where_nothing_can_be_written_at_all_that_is_told(kept: Path, passing: Path, convert: Convert) -> None:
    for place in (kept, passing):
        place.write_text("a file is in the way")
    with pytest.raises(StorageFailed):
        ConversionCache(kept).make("key", SHA256, convert)


def test_those_who_want_the_same_wait_for_the_first(kept: Path, convert: Convert, made: list[Path]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(folder: Path) -> ConversionResult:
        begun.set()
        go_on.wait()
        return convert(folder)

    threads = [threading.Thread(target=ConversionCache(kept).make, args=("key", SHA256, slowly)) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_nothing_is_left_of_one_that_fails(kept: Path) -> None:
    def fails(folder: Path) -> ConversionResult:
        (folder / MODEL).write_bytes(CONTENT)
        raise StorageFailed(OSError(28, "No space left on device"))

    with pytest.raises(StorageFailed):
        ConversionCache(kept).make("key", SHA256, fails)
    assert [entry.name for entry in kept.iterdir()] == ["key.lock"]


def test_what_nobody_has_used_for_a_month_is_removed(kept: Path, convert: Convert) -> None:
    place = ConversionCache(kept)
    _, old = place.make("old", SHA256, convert)
    _, used = place.make("used", SHA256, convert)
    long_ago = time.time() - cache._UNUSED_S - 60
    unfinished = kept / "making-of-a-killed-process"
    unfinished.mkdir()
    for entry in (old, used, unfinished, kept / "old.lock"):
        os.utime(entry, (long_ago, long_ago))
    assert place.find("used", SHA256)
    place.make("new", SHA256, convert)
    assert sorted(entry.name for entry in kept.iterdir()) == ["new", "new.lock", "used", "used.lock"]
