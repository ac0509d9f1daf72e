"""The whole path: train on real images, publish, start real uvicorn, POST, and compare with Keras itself."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest
from rich.console import Console

from models.file_version import file_version
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ANKLE_BOOT, DRAWINGS, SAMPLE_FILES, SHIPPED_MODEL, label_of, pixels_of, sample_split
from training import fit
from training.settings import TrainingSettings

PNG = {"Content-Type": "image/png"}


def test_a_network_trained_and_published_here_answers_as_keras_does(tmp_path: Path) -> None:
    output = tmp_path / "models" / "mine.h5"
    fit.run(
        TrainingSettings(output=output, runs_dir=tmp_path / "runs", epochs=12, batch_size=8),
        sample_split(),
        Console(quiet=True),
    )
    network = keras.saving.load_model(output, compile=False)
    images = np.stack([pixels_of(file) for file in SAMPLE_FILES])[..., np.newaxis]
    expected = network.predict(images / 255.0, verbose=0)

    with running_service("--model-path", output) as service, httpx.Client(base_url=service.url) as client:
        assert f"serving {output}, version {file_version(output)}" in service.log
        right = 0
        for file, row in zip(SAMPLE_FILES, expected, strict=True):
            answer = client.post("/predict", files={"file": file.read_bytes()}).raise_for_status().json()
            by_index = {entry["index"]: entry["probability"] for entry in answer["probabilities"]}
            assert [by_index[index] for index in range(10)] == pytest.approx(row.tolist(), abs=1e-5)
            assert answer["model"] == {"name": "mine", "version": file_version(output)}
            right += answer["index"] == label_of(file)
        assert right >= 120  # it was fitted to 120 of these 200, and chance is 20


def test_the_shipped_model_knows_an_ankle_boot_by_every_door(service: Service) -> None:
    content = ANKLE_BOOT.read_bytes()
    with httpx.Client(base_url=service.url) as client:
        in_form = client.post("/predict", files={"file": content}).json()
        raw = client.post("/predict", content=content, headers=PNG).json()
        (in_batch,) = client.post("/predict/batch", files={"files": content}).json()["results"]
    assert in_form["label"] == "Ankle boot"
    assert raw == in_form
    assert in_batch["prediction"] == {name: value for name, value in in_form.items() if name != "model"}


def test_drawings_that_nobody_here_made_are_known_once_they_are_prepared(service: Service) -> None:
    assert len(DRAWINGS) == 8
    right = {}
    for preparation in ("auto", "none"):
        answers = [
            httpx.post(f"{service.url}/predict?preparation={preparation}", files={"file": file.read_bytes()}).json()
            for file in DRAWINGS
        ]
        right[preparation] = sum(
            answer["index"] == label_of(file) for answer, file in zip(answers, DRAWINGS, strict=True)
        )
    assert right["auto"] == 7
    assert right["none"] < 5


def test_the_first_lines_say_what_is_served(service: Service) -> None:
    assert "loading models/best-cnn-model.h5" in service.log
    assert f"version {file_version(SHIPPED_MODEL)}, on CPU" in service.log
    assert "class_names is T-shirt/top, Trouser" in service.log
    assert "(the card in the file)" in service.log
    assert "a guess" not in service.log
    assert "Traceback" not in service.log


def test_a_body_without_a_declared_length_is_bounded_too(service: Service) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(11):
            yield bytes(1024 * 1024)

    response = httpx.post(f"{service.url}/predict", content=endless(), headers=PNG, timeout=30)
    assert response.request.headers["transfer-encoding"] == "chunked"
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert httpx.post(f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers=PNG).status_code == 200


def test_a_terminated_service_ends_in_order(model_file: Path) -> None:
    with running_service("--model-path", model_file, SERVICE_LOG_LEVEL="info") as service:
        assert httpx.get(f"{service.url}/health/ready").status_code == 200
        assert service.stop() == 0
        assert "Application shutdown complete" in service.rest_of_log
        assert "Traceback" not in service.rest_of_log


def test_ctrl_c_ends_the_service_in_order(model_file: Path) -> None:
    with running_service("--model-path", model_file, *FAKE_ENGINE) as service:
        assert service.stop(signal.SIGINT) == 0
        assert "Traceback" not in service.rest_of_log


def test_several_workers_answer_alike(model_file: Path) -> None:
    with running_service("--model-path", model_file, "--workers", 2) as service:
        answers = [
            httpx.post(f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers=PNG).json() for _ in range(8)
        ]
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["model"]["version"] == file_version(model_file)
        assert service.stop() == 0
