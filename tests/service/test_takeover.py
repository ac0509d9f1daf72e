"""New model files under load: none of the requests fails, each answer is right for the version that it names."""

import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.card import file_version, read_card, write_card
from tests.processes import Service, command, running_service
from tests.samples import ROOT, SAMPLE_FILES, SHIPPED_MODEL, pixels_of

FILES = SAMPLE_FILES[::10]
TAKEOVERS = 12


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped network, but that each class has the next one's weights."""
    path = tmp_path_factory.mktemp("other") / "other.h5"
    network = keras.saving.load_model(SHIPPED_MODEL, compile=False)
    network.layers[-1].set_weights([np.roll(weights, 1, axis=-1) for weights in network.layers[-1].get_weights()])
    network.save(path)
    card = read_card(SHIPPED_MODEL)
    assert card is not None
    write_card(path, card)
    return path


def answers_of(model: Path) -> list[int]:
    pictures = np.stack([pixels_of(file) for file in FILES])[..., np.newaxis] / np.float32(255)
    network = keras.saving.load_model(model, compile=False)
    return network.predict(pictures, verbose=0).argmax(axis=1).tolist()


def outcomes(url: str) -> Counter[str]:
    text = httpx.get(f"{url}/metrics").text
    return Counter(
        {
            sample.labels["outcome"]: int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "service_takeovers_total"
        }
    )


def versions_of(service: Service) -> set[str]:
    """The versions that answer, of whichever worker each of some connections comes to."""
    return {httpx.get(f"{service.url}/model-summary", timeout=60).json()["version"] for _ in range(30)}


def put(content: bytes, path: Path) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def ask_until(url: str, stop: threading.Event, ledger: Counter[str], right: dict[str, list[int]]) -> None:
    """Every answer is entered into the ledger: right, wrong, or what else came."""
    with httpx.Client(base_url=url, timeout=30) as client:
        while not stop.is_set():
            for number, file in enumerate(FILES):
                try:
                    response = client.post("/predict", files={"file": file.read_bytes()})
                except httpx.HTTPError as error:
                    ledger[type(error).__name__] += 1
                    continue
                if response.status_code != 200:
                    ledger[str(response.status_code)] += 1
                    continue
                answer = response.json()
                known = right.get(answer["model"]["version"])
                ledger["right" if known and known[number] == answer["index"] else "wrong"] += 1


def drive(service: Service, path: Path, other: Path, take_over: Callable[[], object]) -> Counter[str]:
    """Good and broken files in turn, each until it is known what became of it, while two callers ask all the time."""
    right = {file_version(model): answers_of(model) for model in (SHIPPED_MODEL, other)}
    good = [other.read_bytes(), SHIPPED_MODEL.read_bytes()]
    broken = [good[0][:30_000], b"", good[0].replace(b"Conv2D", b"Lambda")]
    ledger: Counter[str] = Counter()
    stop = threading.Event()
    callers = [threading.Thread(target=ask_until, args=(service.url, stop, ledger, right)) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        for turn in range(TAKEOVERS):
            before = outcomes(service.url)
            content = good[turn // 2 % 2] if turn % 2 == 0 else broken[turn // 2 % 3]
            put(content, path)
            take_over()
            expected = "taken" if turn % 2 == 0 else "refused"
            while outcomes(service.url)[expected] == before[expected]:
                assert service.process.poll() is None
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert outcomes(service.url) == {"taken": TAKEOVERS // 2, "refused": TAKEOVERS // 2}
    return ledger


@pytest.mark.parametrize("way", ["SIGHUP", "watch", "load"])
def test_no_request_fails_and_no_broken_file_ever_answers(tmp_path: Path, other_model: Path, way: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    options = ["--watch"] if way == "watch" else []
    with running_service("--model-path", path, *options) as service:
        ways: dict[str, Callable[[], object]] = {
            "SIGHUP": lambda: os.kill(service.process.pid, signal.SIGHUP),
            "watch": lambda: None,
            "load": lambda: httpx.post(f"{service.url}/v2/repository/models/best-cnn-model/load", timeout=60),
        }
        ledger = drive(service, path, other_model, ways[way])
        assert ledger.keys() == {"right"}, ledger
        assert ledger["right"] > 100
        assert service.stop() == 0
    assert "is refused" in service.rest_of_log
    assert "Traceback" not in service.rest_of_log


@pytest.mark.parametrize("way", ["SIGHUP", "load"])
def test_each_of_several_workers_takes_over_and_none_is_restarted(tmp_path: Path, other_model: Path, way: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    with running_service("--model-path", path, "--workers", 2) as service:
        put(other_model.read_bytes(), path)
        if way == "SIGHUP":
            service.process.send_signal(signal.SIGHUP)
        else:
            loaded = httpx.post(f"{service.url}/v2/repository/models/best-cnn-model/load", timeout=60)
            assert loaded.json()["version"] == file_version(other_model)
        while versions_of(service) != {file_version(other_model)}:
            assert service.process.poll() is None
        assert service.stop() == 0
    assert service.rest_of_log.count("serving ") + service.log.count("serving ") == 2


def test_a_signal_that_comes_too_early_is_kept_until_there_is_somebody_to_hear_it(
    tmp_path: Path, other_model: Path
) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(SHIPPED_MODEL.read_bytes())
    early = subprocess.Popen(
        [*command("service", "--port", 0, "--model-path", path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    log = ""
    for line in early.stderr:
        log += line
        if "serving " in line:  # loaded, and not yet running
            put(other_model.read_bytes(), path)
            early.send_signal(signal.SIGHUP)
        if f"version {file_version(other_model)} answers from now on" in line:
            break
    early.send_signal(signal.SIGTERM)
    rest = early.stderr.read()
    assert early.wait() == 0, log + rest
    early.stderr.close()
