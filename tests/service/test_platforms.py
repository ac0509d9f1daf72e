"""What SageMaker, Vertex AI, Cloud Run and Azure ML set and send, replayed against a real service."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service import platforms
from service.settings import ServiceSettings
from tests.ports import free_port
from tests.processes import Service, run_to_end, running_service
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL

BOOT = ANKLE_BOOT.read_bytes()
BOOT_B64 = base64.b64encode(BOOT).decode()
VERTEX_MODEL = "/v1/endpoints/4711/deployedModels/42"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model file, in a folder of its own, as it comes out of a platform's store."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "exported").mkdir()
    shutil.copy(SHIPPED_MODEL, folder / "exported" / "clothing.h5")
    return folder


@pytest.fixture(scope="module")
def sagemaker(folder: Path) -> Iterator[Service]:
    # What else SageMaker does cannot be had here: the model at /opt/ml/model, and port 8080.
    port = free_port()
    model = folder / "exported"
    with running_service(
        "--model-path", model, listen=["serve"], SAGEMAKER_BIND_TO_PORT=str(port), AWS_REGION="eu-west-1"
    ) as service:
        assert service.url.endswith(f":{port}")
        yield service


@pytest.fixture(scope="module")
def vertex(folder: Path) -> Iterator[Service]:
    port = free_port()
    environment = {
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": VERTEX_MODEL,
        "AIP_PREDICT_ROUTE": f"{VERTEX_MODEL}:predict",
        "AIP_STORAGE_URI": str(folder),
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_MODE": "PREDICTION",
        "AIP_ENDPOINT_ID": "4711",
    }
    with running_service(listen=[], **environment) as service:
        assert service.url.endswith(f":{port}")
        yield service


def predicted(service: Service, image: bytes = BOOT) -> Any:
    return httpx.post(f"{service.url}/predict", content=image).raise_for_status().json()


# Amazon SageMaker


def test_sagemaker_pings(sagemaker: Service) -> None:
    answer = httpx.get(f"{sagemaker.url}/ping")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("content_type", ["application/x-image", "image/png", "image/jpeg"])
def test_sagemaker_invokes_with_an_image(sagemaker: Service, content_type: str) -> None:
    headers = {
        "Content-Type": content_type,
        "Accept": "application/json",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
    }
    answer = httpx.post(f"{sagemaker.url}/invocations", content=BOOT, headers=headers)
    assert (answer.status_code, answer.json()) == (200, predicted(sagemaker))
    assert answer.json()["label"] == "Ankle boot"
    assert answer.json()["model"]["name"] == "clothing"


def test_sagemaker_invokes_with_instances(sagemaker: Service) -> None:
    body = json.dumps({"instances": [{"b64": BOOT_B64}]})
    headers = {"Content-Type": "application/json", "Accept": "*/*"}
    answer = httpx.post(f"{sagemaker.url}/invocations", content=body, headers=headers)
    assert answer.json() == {"predictions": [predicted(sagemaker)]}


def test_sagemaker_passes_on_what_was_wrong(sagemaker: Service) -> None:
    answer = httpx.post(f"{sagemaker.url}/invocations", content="1,2,3", headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()["status"]) == (415, 415)


def test_the_log_says_what_comes_from_sagemaker(sagemaker: Service, folder: Path) -> None:
    assert "--health-route /ping: from the argument 'serve'" in sagemaker.log
    assert "--predict-route /invocations: from the argument 'serve'" in sagemaker.log
    assert ": from SAGEMAKER_BIND_TO_PORT" in sagemaker.log


# Google Vertex AI


def test_vertex_asks_for_health(vertex: Service) -> None:
    answer = httpx.get(f"{vertex.url}{VERTEX_MODEL}", timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")


def test_vertex_predicts(vertex: Service) -> None:
    body = {"instances": [{"b64": BOOT_B64}, {"b64": BOOT_B64}], "parameters": {"top_k": 10.0}}
    answer = httpx.post(f"{vertex.url}{VERTEX_MODEL}:predict", json=body)
    assert answer.json() == {"predictions": [predicted(vertex)] * 2}
    assert answer.json()["predictions"][0]["label"] == "Ankle boot"


def test_vertex_passes_any_body_on(vertex: Service) -> None:
    answer = httpx.post(f"{vertex.url}{VERTEX_MODEL}:predict", content=BOOT, headers={"Content-Type": "image/png"})
    assert answer.json() == predicted(vertex)


def test_vertex_tells_where_in_its_folder_the_model_is(vertex: Service, folder: Path) -> None:
    assert f"--model-path {folder / 'exported'}: from AIP_STORAGE_URI" in vertex.log
    assert predicted(vertex)["model"]["name"] == "clothing"


# Cloud Run, and Azure ML


def test_cloud_run_names_the_port() -> None:
    port = free_port()
    environment = {"PORT": str(port), "K_SERVICE": "clothing", "K_REVISION": "clothing-00001", "K_CONFIGURATION": "c"}
    with running_service(listen=[], **environment) as service:
        assert service.url == f"http://127.0.0.1:{port}"
        assert f"--port {port}: from PORT" in service.log
        assert "--watchdog-timeout-s 86400.0: from K_SERVICE" in service.log
        assert httpx.get(f"{service.url}/ping").status_code == 404
        assert predicted(service)["label"] == "Ankle boot"


def test_azure_names_the_folder_of_the_model(folder: Path) -> None:
    with running_service(AZUREML_MODEL_DIR=str(folder)) as service:
        for path in ("/health/live", "/health/ready"):
            assert httpx.get(f"{service.url}{path}").status_code == 200
        answer = httpx.post(
            f"{service.url}/predict", json={"image": BOOT_B64}, headers={"azureml-model-deployment": "b"}
        )
        assert (answer.status_code, answer.json()) == (200, predicted(service))
        assert answer.json()["model"]["name"] == "clothing"


# What comes before what


def test_an_option_comes_before_a_platforms_variable() -> None:
    with running_service(
        "--engine", "fake", SERVICE_PREDICT_ROUTE="/mine", AIP_PREDICT_ROUTE="/theirs", PORT="1"
    ) as it:
        assert "--port 0: given as an option or as SERVICE_PORT, which comes before PORT (1)" in it.log
        assert "--predict-route /mine: given as an option or as SERVICE_PREDICT_ROUTE, which comes before" in it.log
        assert httpx.post(f"{it.url}/mine", content=BOOT).status_code == 200
        assert httpx.post(f"{it.url}/theirs", content=BOOT).status_code == 404


def test_a_wrong_variable_is_named() -> None:
    finished = run_to_end("service", AIP_HTTP_PORT="http")
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert "--port (or AIP_HTTP_PORT): " in line
    assert "'http'" in line


def settings_of(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("SERVICE_")}


def test_only_what_is_there_has_an_effect() -> None:
    environment = {"HOME": "/root", "PORT": "", "AIP_STORAGE_URI": ""}
    assert platforms.adopt([], environment) == []
    assert settings_of(environment) == {}


def test_sagemakers_argument_alone(tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    arguments, environment = ["serve", "--workers", "2"], {"service_health_route": "/alive"}
    platforms.adopt(arguments, environment, tmp_path)
    assert arguments == ["--workers", "2"]
    assert settings_of(environment) == {
        "SERVICE_PORT": "8080",
        "SERVICE_PREDICT_ROUTE": "/invocations",
        "SERVICE_MODEL_PATH": str(tmp_path),
    }


def test_without_a_model_of_sagemakers_the_image_has_one(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    platforms.adopt(["serve"], environment, tmp_path)
    assert "SERVICE_MODEL_PATH" not in environment


@pytest.mark.parametrize("given", ["gs://bucket/model", "gs://bucket/model/"])
def test_an_address_is_passed_on_as_a_folders_and_the_log_has_no_secret_of_it(given: str) -> None:
    environment = {"AIP_STORAGE_URI": given}
    told = platforms.adopt([], environment)
    assert environment["SERVICE_MODEL_PATH"] == "gs://bucket/model/"
    settings = ServiceSettings(model_path="https://somebody:secret@example.org/model.h5?token=secret")
    (sentence,) = platforms.sentences(told, settings)
    assert "gs://bucket/model" in sentence
    assert "example.org" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["model.h5"], ""),
        (["INPUT_model/model.keras"], "INPUT_model"),
        (["name/2/model.h5", "name/10/model.h5"], ""),
        (["models/name/2/model.h5", "models/name/10/model.h5"], "models"),
        (["2/model.h5", "10/model.h5"], ""),
        (["a/model.h5", "b/model.h5"], ""),
        (["notes.txt"], ""),
        (["1/2/3/4/5/model.h5"], ""),
    ],
)
def test_where_in_a_folder_the_model_is(tmp_path: Path, files: list[str], found: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environment = {"AZUREML_MODEL_DIR": str(tmp_path)}
    told = platforms.adopt([], environment)
    assert environment["SERVICE_MODEL_PATH"] == str(tmp_path / found)
    settings = ServiceSettings(model_path=str(tmp_path / found))
    assert platforms.sentences(told, settings) == [f"--model-path {tmp_path / found}: from AZUREML_MODEL_DIR"]
