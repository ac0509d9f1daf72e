"""What tests share: real images, small real model files, and a client of the service with a fake classifier."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from fastapi.testclient import TestClient

from models.card import write_card
from service.settings import ServiceSettings
from tests.applications import application
from tests.fakes import FakeEngine
from tests.processes import Service, running_service
from tests.samples import SHIPPED_MODEL
from training.network import build_network

# The same damaged images in each run of the tests; `make fuzz` tries many more, and others each time.
_FUZZ_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
hypothesis.settings.register_profile(
    "here", max_examples=_FUZZ_EXAMPLES or 300, derandomize=not _FUZZ_EXAMPLES, deadline=None, database=None
)
hypothesis.settings.load_profile("here")


@pytest.fixture(autouse=True)
def _settings_from_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("SERVICE_", "TRAINING_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The shipped model with the default settings, for all tests that leave it as it is."""
    with running_service() as service:
        yield service


@pytest.fixture(scope="session")
def bare_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 8×8×3 → 3 as `model.save` writes it from a notebook: compiled, and without a card."""
    path = tmp_path_factory.mktemp("bare") / "from-notebook.h5"
    network = build_network(8, 8, 3, 3, filters=(4,), dense=5, dropout=0.1)
    network.compile(loss="sparse_categorical_crossentropy")
    network.save(path)
    return path


@pytest.fixture
def model_file(bare_model_file: Path, tmp_path: Path) -> Path:
    """The same network with a card."""
    path = tmp_path / "with-card.h5"
    path.write_bytes(bare_model_file.read_bytes())
    write_card(path, FakeEngine.card_for(8, 8, 3))
    return path


@pytest.fixture(scope="session")
def shipped_model() -> Path:
    return SHIPPED_MODEL


@pytest.fixture
def classifier() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def client(classifier: FakeEngine) -> Iterator[TestClient]:
    settings = ServiceSettings(
        max_body_bytes=20_000, max_image_pixels=250_000, max_images_per_request=5, max_queue_size=6
    )
    with TestClient(application(settings, classifier), raise_server_exceptions=False) as client:
        yield client
