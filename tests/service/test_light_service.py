"""The service with the light engine, as it is by default: TensorFlow is in no process that answers predictions."""

import os
from pathlib import Path

import httpx
import psutil
import pytest

from tests.processes import Service, explaining, run_to_end, running_service
from tests.samples import ANKLE_BOOT, SAMPLE_FILES, SHIPPED_MODEL

IMAGE = {"content": ANKLE_BOOT.read_bytes(), "headers": {"Content-Type": "image/png"}}
HEAVY = ("tensorflow", "keras", "matplotlib")


def libraries(process: psutil.Process) -> str:
    """The names of all files that it has mapped, and so of each library with code in C."""
    return Path(f"/proc/{process.pid}/maps").read_text()


def has_tensorflow(process: psutil.Process) -> bool:
    return "_pywrap_tensorflow" in libraries(process)


def test_what_answers_has_no_tensorflow_and_what_explains_has(service: Service) -> None:
    serving = psutil.Process(service.process.pid)
    url = service.url
    assert httpx.post(f"{url}/predict", **IMAGE).raise_for_status().json()["label"] == "Ankle boot"
    files = [("files", (file.name, file.read_bytes(), "image/png")) for file in SAMPLE_FILES[:9]]
    assert len(httpx.post(f"{url}/predict/batch", files=files).raise_for_status().json()["results"]) == 9
    assert httpx.get(f"{url}/model-summary").raise_for_status().json()["parameters"] == 333_526
    assert httpx.get(f"{url}/model-card").raise_for_status()
    assert httpx.post(f"{url}/plot/feature-maps", **IMAGE, timeout=60).raise_for_status()
    assert "libtensorflowlite" in libraries(serving) or "ai_edge_litert" in libraries(serving)
    assert not has_tensorflow(serving)
    assert all(map(has_tensorflow, explaining(service)))


@pytest.mark.parametrize("module", ["service", "service.check", "service.convert", "training"])
def test_help_imports_nothing_that_takes_seconds(module: str) -> None:
    finished = run_to_end(module, "--help", PYTHONPROFILEIMPORTTIME="1")
    assert finished.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "pydantic" in imported
    assert not imported & set(HEAVY)


def test_the_first_start_converts_and_the_next_one_finds_it(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for _ in range(2):
        with running_service("--engine", "light", "--cache-dir", kept) as service:
            answer = httpx.post(f"{service.url}/predict", **IMAGE).raise_for_status().json()
            assert answer["label"] == "Ankle boot"
            assert service.stop() == 0
    (folder,) = (entry for entry in kept.iterdir() if entry.is_dir())
    assert folder.stat().st_mode & 0o077 == 0


def test_workers_share_what_one_of_them_converts(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with running_service("--workers", 2, "--cache-dir", kept, "--log-level", "debug") as service:
        assert httpx.post(f"{service.url}/predict", **IMAGE).raise_for_status()
    assert len([entry for entry in kept.iterdir() if entry.is_dir()]) == 1


def test_a_cache_that_cannot_be_written_to_costs_only_time(tmp_path: Path) -> None:
    in_the_way = tmp_path / "kept"
    in_the_way.write_text("a file")
    with running_service("--cache-dir", in_the_way) as service:
        assert "for this run only" in service.log
        assert httpx.post(f"{service.url}/predict", **IMAGE).raise_for_status()


def test_what_was_converted_ahead_of_time_starts_without_tensorflow(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    converted = run_to_end("service.convert", SHIPPED_MODEL, "--cache-dir", kept)
    assert converted.returncode == 0
    assert "light" in converted.stdout
    # Nothing here could convert it once more.
    broken = tmp_path / "broken" / "tensorflow"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('there is no TensorFlow')")
    path = os.pathsep.join((str(broken.parent), str(Path.cwd())))
    with running_service("--cache-dir", kept, PYTHONPATH=path) as service:
        assert httpx.post(f"{service.url}/predict", **IMAGE).raise_for_status()


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (("nothing.h5",), 3, "no model file at nothing.h5"),
        ((), 2, "MODEL"),
        ((SHIPPED_MODEL, "--class-names", "a,b"), 3, "names 2 classes"),
    ],
)
def test_convert_says_what_is_wrong(options: tuple[object, ...], status: int, text: str, tmp_path: Path) -> None:
    finished = run_to_end("service.convert", *options, "--cache-dir", tmp_path)
    assert finished.returncode == status
    assert text in finished.stderr
    assert "Traceback" not in finished.stderr
