"""A folder of models behind one address: each by its name, through every door."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tritonclient.http as triton

from models.file_version import file_version
from tests.processes import Service, run_to_end, running_service
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL

PNG = {"Content-Type": "image/png"}
IMAGE = ANKLE_BOOT.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, bare_model_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(SHIPPED_MODEL, folder / "clothes.h5")
    shutil.copy(bare_model_file, folder / "animals.h5")
    (folder / "broken.h5").write_bytes(b"no model at all")
    (folder / "a pointer.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    for suffix in (".h5", ".keras"):
        shutil.copy(bare_model_file, folder / f"twice{suffix}")
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with running_service("--model-path", folder, "--default-model", "clothes") as service:
        yield service


def test_broken_ones_are_told_and_left_out_also_where_they_are_first_by_name(service: Service) -> None:
    assert "broken.h5" in service.log
    assert "the others are served" in service.log
    assert "it is a Git LFS pointer" in service.log
    assert "twice.h5 and " in service.log
    index = httpx.post(f"{service.url}/v2/repository/index").json()
    assert [(model["name"], model["state"]) for model in index] == [("clothes", "READY"), ("animals", "READY")]


@pytest.mark.parametrize(
    ("query", "name"),
    [("", "clothes"), ("?model=clothes", "clothes"), ("?model=animals", "animals")],
)
def test_predict_names_the_model_that_answers(service: Service, folder: Path, query: str, name: str) -> None:
    answer = httpx.post(f"{service.url}/predict{query}", content=IMAGE, headers=PNG).json()
    assert answer["model"] == {"name": name, "version": file_version(folder / f"{name}.h5")}
    batch = httpx.post(f"{service.url}/predict/batch{query}", files={"files": IMAGE}).json()
    assert batch["model"] == answer["model"]


@pytest.mark.parametrize("path", ["/model-summary", "/model-card", "/plot", "/plot?style=blocks", "/plot/kernels"])
def test_pictures_and_tables_are_of_the_model_that_is_asked_for(service: Service, path: str) -> None:
    joined = "&" if "?" in path else "?"
    answers = [httpx.get(service.url + path + more, timeout=60) for more in ("", f"{joined}model=animals")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content != answers[1].content


@pytest.mark.parametrize("path", ["/plot/feature-maps?", "/plot/attribution?method=occlusion&"])
def test_so_is_what_it_sees(service: Service, folder: Path, path: str) -> None:
    answer = httpx.post(f"{service.url}{path}model=animals", content=IMAGE, headers=PNG, timeout=60)
    assert answer.headers["model-version"] == file_version(folder / "animals.h5")


def test_a_name_that_is_not_there_is_404_everywhere(service: Service) -> None:
    own = httpx.post(f"{service.url}/predict?model=hats", content=IMAGE, headers=PNG)
    assert own.status_code == 404
    assert own.json()["detail"] == "there is no model 'hats'; there are 'clothes', 'animals'"
    for path in ("/v1/models/hats", "/v2/models/hats"):
        answer = httpx.get(service.url + path)
        assert answer.status_code == 404
        assert "there is no model 'hats'" in answer.json()["error"]


def test_other_protocols_have_each_by_its_name(service: Service) -> None:
    client = triton.InferenceServerClient(service.url.removeprefix("http://"))
    for name, classes in (("clothes", 10), ("animals", 3)):
        assert client.is_model_ready(name)
        assert client.get_model_metadata(name)["outputs"][0]["shape"] == [-1, classes]
        assert [model["name"] for model in client.get_inference_statistics(name)["model_stats"]] == [name]
        metadata = httpx.get(f"{service.url}/v1/models/{name}/metadata").json()
        assert metadata["model_spec"]["name"] == name
    assert len(client.get_inference_statistics()["model_stats"]) == 2
    client.close()


def test_another_file_is_loaded_when_it_is_asked_for(service: Service, folder: Path) -> None:
    load = f"{service.url}/v2/repository/models/hats/load"
    assert httpx.post(load).status_code == 404
    broken = httpx.post(f"{service.url}/v2/repository/models/broken/load", timeout=60)
    assert broken.status_code == 400
    assert "goes on answering" in broken.json()["error"]
    shutil.copy(SHIPPED_MODEL, folder / "hats.h5")
    assert httpx.post(load, timeout=60).json() == {"name": "hats", "version": file_version(SHIPPED_MODEL)}
    assert httpx.post(f"{service.url}/predict?model=hats", content=IMAGE, headers=PNG).json()["label"] == "Ankle boot"
    metrics = httpx.get(f"{service.url}/metrics").text
    assert 'keras_service_predictions_total{label="Ankle boot",model="hats"} 1.0' in metrics
    assert metrics.count("keras_service_model_info{") == 3


def test_one_can_be_unloaded_and_loaded_again(service: Service) -> None:
    client = triton.InferenceServerClient(service.url.removeprefix("http://"))
    with pytest.raises(triton.InferenceServerException, match="clothes stays loaded: it is the default"):
        client.unload_model("clothes")
    client.unload_model("animals")
    assert not client.is_model_ready("animals")
    assert client.is_model_ready("clothes")
    assert {"name": "animals", "state": "UNAVAILABLE", "reason": "unloaded"} in client.get_model_repository_index()
    assert httpx.post(f"{service.url}/predict?model=animals", content=IMAGE, headers=PNG).status_code == 404
    client.load_model("animals")
    assert client.is_model_ready("animals")
    assert "UNAVAILABLE" not in {model["state"] for model in client.get_model_repository_index()}
    client.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--default-model", "hats"), "which --default-model names; there are"),
        (("--default-model", "broken"), "broken.h5 is refused: its first bytes are of no kind of model file"),
        (("--model-sha256", "0" * 64), "--model-sha256 is of one file"),
    ],
)
def test_a_folder_that_cannot_be_served_is_told(
    tmp_path: Path, bare_model_file: Path, options: tuple[str, str], reason: str
) -> None:
    shutil.copy(bare_model_file, tmp_path / "animals.h5")
    (tmp_path / "broken.h5").write_bytes(b"no model at all")
    ended = run_to_end("service", "--model-path", tmp_path, *options)
    assert ended.returncode in {2, 3}
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr
