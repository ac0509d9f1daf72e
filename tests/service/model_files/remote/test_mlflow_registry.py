"""A model in MLflow's registry, in a real local store: by its number, by its alias, and again when the alias moves."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from models.card import ModelFileError
from service.model_files.remote.source import SourceUnavailable
from tests.samples import left_out_without
from tests.service.model_files.remote.conftest import RemoteOf

# MLflow and what it is made of are not ours to mend.
pytestmark = [pytest.mark.filterwarnings("default"), left_out_without(find_spec("mlflow") is not None, "MLflow")]
ONE, TWO = (b"\x89HDF\r\n\x1a\n" + bytes([number]) * 5000 for number in (1, 2))
Register = Callable[..., str]


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    """Makes a version of the model hats, of files by their names, and returns its number."""
    import mlflow  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient()
    client.create_registered_model("hats")

    def make(files: dict[str, bytes], alias: str | None = None) -> str:
        run = client.create_run("0")
        for name, content in files.items():
            written = tmp_path / "written" / Path(name).name
            written.parent.mkdir(exist_ok=True)
            written.write_bytes(content)
            client.log_artifact(run.info.run_id, str(written), f"model/{Path(name).parent}".removesuffix("/."))
        source = f"{run.info.artifact_uri}/model"
        version = client.create_model_version("hats", source, run.info.run_id).version
        if alias:
            client.set_registered_model_alias("hats", alias, version)
        return str(version)

    return make


def test_a_version_is_fetched_by_its_alias_and_the_one_after_it_when_the_alias_moves(
    register: Register, remote_of: RemoteOf
) -> None:
    register({"MLmodel": b"flavors: {}", "data/model.keras": ONE, "data/labels.txt": b"cat\ndog\n"}, alias="best")
    model = remote_of("models:/hats@best")
    assert [model.fetch(), model.fetch()] == [True, False]
    assert model.path.name == "hats.keras"
    assert model.path.read_bytes() == ONE
    assert model.path.with_name("labels.txt").read_text() == "cat\ndog\n"
    register({"model.h5": TWO}, alias="best")
    assert model.fetch()
    assert model.path.read_bytes() == TWO
    assert not model.path.with_name("labels.txt").exists()
    first = remote_of("models:/hats/1")
    assert first.fetch()
    assert first.path.read_bytes() == ONE


def test_what_is_not_there_is_told(register: Register, remote_of: RemoteOf) -> None:
    for address in ("models:/hats@best", "models:/hats/1", "models:/shoes/1"):
        with pytest.raises(SourceUnavailable, match=f"{address} cannot be fetched"):
            remote_of(address).fetch()


def test_a_version_without_one_model_file_or_with_one_too_large_is_refused(
    register: Register, remote_of: RemoteOf
) -> None:
    register({"saved_model.pb": b"x"})
    with pytest.raises(
        ModelFileError, match=r"has not one file that ends in \.keras, \.h5, \.hdf5, but saved_model\.pb"
    ):
        remote_of("models:/hats/1").fetch()
    register({"model.h5": ONE, "model.keras": ONE})
    with pytest.raises(ModelFileError, match=r"but model\.h5, model\.keras"):
        remote_of("models:/hats/2").fetch()
    register({"model.h5": ONE})
    with pytest.raises(ModelFileError, match=r"5,008 bytes, more than the 5,000 of --max-model-bytes"):
        remote_of("models:/hats/3", max_bytes=5000).fetch()
