"""The fake engine: a card and no model, in a process that imports no TensorFlow."""

import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.card import ModelFileError
from models.file_version import file_version
from service.engines.fake import FakeLoader
from tests.processes import FAKE_ENGINE, running_service
from tests.samples import ANKLE_BOOT, ROOT, SHIPPED_MODEL


def test_it_has_the_files_card_and_version_and_answers_from_the_first_values(shipped_model: Path) -> None:
    engine = FakeLoader().load(shipped_model)
    assert engine.card.name == "best-cnn-model"
    assert engine.version == file_version(shipped_model)
    batch = np.zeros((2, 28, 28, 1), np.float32)
    batch[0, 0, 3] = batch[1, 0, 7] = 1
    scores, ood_scores, _, embeddings = engine.infer(batch)
    assert scores.argmax(axis=1).tolist() == [3, 7]
    assert scores.sum(axis=1) == pytest.approx([1, 1])
    assert ood_scores is None
    assert embeddings.tolist() == batch[:, 0, :10, 0].tolist()
    assert engine.embedding_dimension == 10


def test_a_broken_file_and_one_without_a_card_are_refused(tmp_path: Path, bare_model_file: Path) -> None:
    (tmp_path / "broken.h5").write_bytes(b"broken")
    with pytest.raises(ModelFileError, match="its first bytes are of no kind of model file"):
        FakeLoader().load(tmp_path / "broken.h5")
    with pytest.raises(ModelFileError, match="has no card"):
        FakeLoader().load(bare_model_file)


def test_its_process_imports_neither_keras_nor_tensorflow() -> None:
    program = f"""
import sys
import zipfile
from service.settings import ServiceSettings
from service.engine_choice import choose_engine
choose_engine(ServiceSettings(engine="fake")).load(__import__("pathlib").Path({str(SHIPPED_MODEL)!r}))
print([name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules])
"""
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"


def test_a_service_answers_with_it_and_says_what_it_is_and_that_nothing_is_explained() -> None:
    with running_service(*FAKE_ENGINE) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        assert "on nowhere" in service.log
        assert "no model is run" in service.log
        answer = client.post("/predict", files={"file": ANKLE_BOOT.read_bytes()}).json()
        assert answer["model"] == {"name": "best-cnn-model", "version": file_version(SHIPPED_MODEL)}
        assert answer["familiarity"] is None
        refused = client.get("/model-summary")
        assert refused.status_code == 503
        assert "no layers to look into" in refused.json()["detail"]
        assert client.get("/plot/history").status_code == 200


def test_a_service_starts_from_a_zip_as_from_any_other_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "converted_keras.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(SHIPPED_MODEL, "keras_model.h5")
        archive.writestr("labels.txt", "".join(f"{number} Class {number + 1}\n" for number in range(10)))
    with running_service(*FAKE_ENGINE, "--model-path", tmp_path) as service:
        answer = httpx.post(f"{service.url}/predict", files={"file": ANKLE_BOOT.read_bytes()}).json()
        assert answer["model"]["name"] == "converted_keras"
        assert answer["model"]["version"] == file_version(tmp_path / "converted_keras.zip")
