"""Whatever is long in a request is worked on by the one thread pool, in every protocol."""

import pytest
from fastapi.testclient import TestClient

from tests.applications import context_of
from tests.service.test_body_fuzz import CALLS

# A call, and the module that reads its body or writes its answer.
READ = [
    ("json", "service.api.bodies"),
    ("json batch", "service.api.bodies"),
    ("rows", "service.protocols.tfserving.routes"),
    ("tensor", "service.protocols.oip.infer"),
    ("load", "service.protocols.oip.model_repository"),
]
WRITE = [
    ("batch", "service.api.predict"),
    ("examples", "service.protocols.tfserving.routes"),
    ("binary", "service.protocols.oip.infer"),
]


@pytest.fixture
def full(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A service whose thread pool takes nothing more."""
    monkeypatch.setattr(context_of(client).prediction._threads, "_most", 0)
    return client


def status(client: TestClient, call: str) -> int:
    path, body, headers = CALLS[call]
    response = client.post(path, content=body, headers=headers)
    assert response.status_code == 200 or "large requests wait for a thread" in response.text
    return response.status_code


@pytest.mark.parametrize("call", ["batch", "json", "rows", "tensor", "binary", "load"])
def test_small_requests_need_no_thread(full: TestClient, call: str) -> None:
    assert status(full, call) == 200


@pytest.mark.parametrize("call", ["packed image", "packed rows", "packed tensor", "packed load"])
def test_what_is_packed_is_unpacked_there(full: TestClient, call: str) -> None:
    assert status(full, call) == 503


@pytest.mark.parametrize(("call", "module"), READ)
def test_large_bodies_are_read_there(full: TestClient, call: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{module}.SMALL_BODY_BYTES", 10)
    assert status(full, call) == 503


@pytest.mark.parametrize(("call", "module"), WRITE)
def test_large_answers_are_written_there(
    full: TestClient, call: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{module}.SMALL_ANSWER_VALUES", 2)
    assert status(full, call) == 503
