"""The whole service with models that lie elsewhere, and with folders of numbered versions, as clients see it."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from models.card import read_card, write_card
from models.file_version import file_version
from tests.processes import FAKE_ENGINE, Service, run_to_end, running_service, wait_for_all
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL, left_out_without
from tests.service.model_files.remote.web_server import WebServer, web_server

PNG = {"Content-Type": "image/png"}
PLACE = "/hats.h5"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three model files that differ in what their cards say."""
    folder, files = tmp_path_factory.mktemp("versions"), []
    for number in (1, 2, 3):
        files.append(folder / f"{number}.h5")
        shutil.copy(SHIPPED_MODEL, files[-1])
        card = read_card(SHIPPED_MODEL)
        assert card is not None
        write_card(files[-1], card.model_copy(update={"label_threshold": number / 10}))
    return files


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as served:
        yield served


def until(reached: Callable[[], bool], service: Service) -> None:
    while not reached():
        assert service.process.poll() is None


def shown_versions(service: Service, name: str, connections: int = 8) -> set[str]:
    """The version that answers, of whichever worker each of some connections comes to."""
    return {httpx.get(f"{service.url}/v2/models/{name}").json()["versions"][0] for _ in range(connections)}


def test_a_model_at_an_address_is_served_and_its_next_version_by_all_workers(
    web: WebServer, versions: list[Path]
) -> None:
    first, second, _ = versions
    web.files = {PLACE: first.read_bytes()}
    address = web.url.replace("://", "://anna:s3cret@") + PLACE + "?sig=abc123"
    options = ("--watch", "--watch-interval-s", 0.05, "--workers", 2, "--model-name", "caps", *FAKE_ENGINE)
    with running_service("--model-path", address, *options) as service:
        wait_for_all(service, 2)
        assert shown_versions(service, "caps") == {file_version(first)}
        assert [status for path, status, _ in web.asked if path.startswith(PLACE)].count(200) == 1
        web.statuses = {PLACE: 500}
        web.wait_for(f"{PLACE}?sig=abc123", 500)
        answer = httpx.post(f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers=PNG).json()
        assert answer["model"] == {"name": "caps", "version": file_version(first)}
        web.files, web.statuses = {PLACE: second.read_bytes()}, {}
        until(lambda: shown_versions(service, "caps") == {file_version(second)}, service)
        assert service.stop() == 0
    log = service.log + service.rest_of_log
    assert f"loading {web.url}{PLACE}?…" in log
    assert not [secret for secret in ("anna", "s3cret", "abc123") if secret in log]


@pytest.mark.parametrize(
    ("files", "options", "reason"),
    [
        ({}, (), "its server answers 404 Not Found"),
        ({PLACE: b"<html></html>"}, (), "is refused: it is a web page"),
        ({PLACE: SHIPPED_MODEL.read_bytes()}, ("--max-model-bytes", 1000), "of --max-model-bytes"),
        ({PLACE: SHIPPED_MODEL.read_bytes()}, ("--model-sha256", "0" * 64), f"expected {'0' * 64}"),
    ],
)
def test_what_cannot_be_fetched_is_one_line_and_the_status_of_a_missing_file(
    web: WebServer, files: dict[str, bytes], options: tuple[object, ...], reason: str
) -> None:
    web.files = files
    ended = run_to_end("service", "--port", 0, "--model-path", web.url + PLACE, *FAKE_ENGINE, *options)
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "ERROR" in line]
    assert reason in line


def test_a_copy_that_was_kept_of_the_pinned_model_is_served_while_the_source_is_away(
    web: WebServer, versions: list[Path], tmp_path: Path
) -> None:
    content = versions[0].read_bytes()
    web.files = {PLACE: content}
    options = ("--model-path", web.url + PLACE, "--model-sha256", hashlib.sha256(content).hexdigest(), *FAKE_ENGINE)
    for away in (False, True):
        web.statuses = {PLACE: 503} if away else {}
        with running_service(*options, "--cache-dir", tmp_path / "kept") as service:
            assert httpx.get(f"{service.url}/health/ready").status_code == 200
            assert ("the copy that was kept of it is served" in service.log) == away


def test_numbered_versions_are_asked_by_number_and_follow_their_folder(tmp_path: Path, versions: list[Path]) -> None:
    place = tmp_path / "hats"
    for number, file in enumerate(versions[:2], 1):
        (place / str(number)).mkdir(parents=True)
        shutil.copy(file, place / str(number) / "model.h5")
    with running_service("--model-path", place, "--watch", "--workers", 2, *FAKE_ENGINE) as service:
        wait_for_all(service, 2)
        status = httpx.get(f"{service.url}/v1/models/hats").json()["model_version_status"]
        assert [(one["version"], one["state"]) for one in status] == [("2", "AVAILABLE"), ("1", "AVAILABLE")]
        assert httpx.get(f"{service.url}/v2/models/hats").json()["versions"] == ["2", "1"]
        answer = httpx.post(f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers=PNG).json()
        assert answer["model"] == {"name": "hats", "version": file_version(versions[1])}
        zeros = {"instances": [[[[0]] * 28] * 28]}
        for number, expected in (("1", 200), ("2", 200), ("3", 404)):
            asked = httpx.post(f"{service.url}/v1/models/hats/versions/{number}:predict", json=zeros)
            assert asked.status_code == expected
        tensor = {"name": "input", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784}
        infer = f"{service.url}/v2/models/hats/versions/1/infer"
        assert httpx.post(infer, json={"inputs": [tensor]}).json()["model_version"] == "1"
        metrics = httpx.get(f"{service.url}/metrics").text
        assert 'keras_service_model_info{device="nowhere",name="hats",version="2"} 1.0' in metrics

        shutil.copytree(place / "2", tmp_path / "3")
        shutil.copy(versions[2], tmp_path / "3" / "model.h5")
        (tmp_path / "3").rename(place / "3")
        until(lambda: shown_versions(service, "hats") == {"3"}, service)
        rolled = httpx.post(
            f"{service.url}/v2/repository/models/hats/load", json={"parameters": {"version": "2"}}, timeout=60
        )
        assert rolled.json() == {"name": "hats", "version": "2"}
        until(lambda: shown_versions(service, "hats") == {"2"}, service)
        shutil.rmtree(place / "3")
        until(lambda: httpx.get(f"{service.url}/v2/models/hats/versions/3").status_code == 404, service)
        assert shown_versions(service, "hats") == {"2"}
        assert service.stop() == 0


def test_a_folder_of_version_folders_serves_each_by_its_name(tmp_path: Path, versions: list[Path]) -> None:
    for name, number, file in (("hats", 7, versions[0]), ("shoes", 1, versions[1]), ("shoes", 12, versions[2])):
        (tmp_path / name / str(number)).mkdir(parents=True)
        shutil.copy(file, tmp_path / name / str(number) / "model.h5")
    (tmp_path / "shoes" / "13").mkdir()
    (tmp_path / "shoes" / "13" / "saved_model.pb").touch()
    with running_service("--model-path", tmp_path, "--default-model", "shoes", *FAKE_ENGINE) as service:
        assert "it is TensorFlow's SavedModel" in service.log
        index = httpx.post(f"{service.url}/v2/repository/index").json()
        assert [(one["name"], one["version"]) for one in index] == [("shoes", "12"), ("hats", "7")]
        assert httpx.get(f"{service.url}/v2/models/shoes").json()["versions"] == ["12", "1"]


def test_a_name_for_a_folder_of_files_is_refused_and_what_to_do_is_told(tmp_path: Path, versions: list[Path]) -> None:
    shutil.copy(versions[0], tmp_path / "hats.h5")
    ended = run_to_end("service", "--port", 0, "--model-path", tmp_path, "--model-name", "caps", *FAKE_ENGINE)
    assert ended.returncode == 3
    assert "--model-name caps is of one model" in ended.stderr


def test_the_name_that_was_given_is_everywhere_and_stays_when_the_file_changes(
    tmp_path: Path, versions: list[Path]
) -> None:
    path = tmp_path / "hats.h5"
    shutil.copy(versions[0], path)
    with running_service("--model-path", path, "--model-name", "caps", *FAKE_ENGINE) as service:
        for file in (versions[0], versions[1]):
            shutil.copy(file, tmp_path / "new")
            (tmp_path / "new").replace(path)
            loaded = httpx.post(f"{service.url}/v2/repository/models/caps/load", timeout=60)
            assert loaded.json() == {"name": "caps", "version": file_version(file)}
            assert httpx.get(f"{service.url}/v1/models/caps/metadata").json()["model_spec"]["name"] == "caps"
            assert httpx.get(f"{service.url}/model-card").json()["name"] == "caps"
            answer = httpx.post(f"{service.url}/predict", content=ANKLE_BOOT.read_bytes(), headers=PNG).json()
            assert answer["model"]["name"] == "caps"
            metrics = httpx.get(f"{service.url}/metrics").text
            assert f'name="caps",version="{file_version(file)}"}} 1.0' in metrics
            assert 'model="caps"' in metrics
            assert "best-cnn-model" not in metrics


@pytest.mark.filterwarnings("default")  # MLflow and what it is made of are not ours to mend
@left_out_without(find_spec("mlflow") is not None, "MLflow")
def test_a_registered_model_is_served_and_the_version_to_which_its_alias_moves(
    tmp_path: Path, versions: list[Path]
) -> None:
    import mlflow  # noqa: PLC0415

    store = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(store, store)
    experiment = client.create_experiment("nets", f"file://{tmp_path}/files")
    client.create_registered_model("hats")

    def register(file: Path) -> None:
        run = client.create_run(experiment)
        client.log_artifact(run.info.run_id, str(file), "model")
        version = client.create_model_version("hats", f"{run.info.artifact_uri}/model", run.info.run_id).version
        client.set_registered_model_alias("hats", "best", version)

    register(versions[0])
    options = ("--watch", "--watch-interval-s", 1, "--model-name", "hats", *FAKE_ENGINE)
    with running_service("--model-path", "models:/hats@best", *options, MLFLOW_TRACKING_URI=store) as service:
        assert shown_versions(service, "hats", 1) == {file_version(versions[0])}
        register(versions[1])
        until(lambda: shown_versions(service, "hats", 1) == {file_version(versions[1])}, service)
        assert service.stop() == 0
