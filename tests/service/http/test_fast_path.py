"""the fast path answers as FastAPI's own does, and leaves to it what is not its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Request, Response
from fastapi.testclient import TestClient
from starlette.middleware.base import RequestResponseEndpoint

from service.api import predict
from service.http.fast_path import FastPath
from service.settings import ServiceSettings
from tests.applications import application, fastapi_of
from tests.fakes import FakeEngine, image_for
from tests.samples import encoded

OWL = encoded(image_for("owl"))


@pytest.fixture
def both(classifier: FakeEngine) -> Iterator[tuple[TestClient, TestClient]]:
    """By the fast path, and by FastAPI's own."""
    apps = [fastapi_of(application(ServiceSettings(max_body_bytes=20_000), classifier)) for _ in range(2)]
    with TestClient(FastPath(apps[0], predict.router.routes)) as fast, TestClient(apps[1]) as own:
        yield fast, own


@pytest.mark.parametrize(
    "request_",
    [
        {"url": "/predict", "files": {"file": OWL}},
        {"url": "/predict", "content": OWL, "headers": {"Content-Type": "image/png"}},
        {"url": "/predict", "content": b"nonsense", "headers": {"Content-Type": "image/png"}},
        {"url": "/predict", "content": bytes(20_001), "headers": {"Content-Type": "image/png"}},
        {"url": "/predict", "json": {}},
        {"url": "/predict/batch", "files": [("files", OWL), ("files", b"nonsense")]},
        {"url": "/predict/batch", "files": {"file": OWL}},
        {"url": "/predict/other", "content": b""},
        {"url": "/predict", "method": "GET"},
        {"url": "/predict", "method": "OPTIONS"},
        {"url": "/predict?top_k=0", "content": OWL},
        {"url": "/health/ready", "method": "GET"},
    ],
    ids=str,
)
def test_both_ways_answer_the_same(both: tuple[TestClient, TestClient], request_: dict[str, Any]) -> None:
    fast, own = (client.request(**{"method": "POST", **request_}) for client in both)
    assert fast.status_code == own.status_code
    assert fast.headers == own.headers
    assert fast.content == own.content


def test_a_fault_of_our_own_reaches_the_servers_log(
    both: tuple[TestClient, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "prediction_of", lambda *_: 1 / 0)
    for client in both:
        with pytest.raises(ZeroDivisionError):
            client.post("/predict", files={"file": OWL})


@pytest.mark.parametrize("flag", [True, False])
def test_it_steps_aside_where_opentelemetry_watches_fastapi(classifier: FakeEngine, flag: bool) -> None:
    app = fastapi_of(application(ServiceSettings(), classifier))
    app._is_instrumented_by_opentelemetry = flag  # type: ignore[attr-defined]
    seen = []

    @app.middleware("http")
    async def span(request: Request, call_next: RequestResponseEndpoint) -> Response:
        seen.append(request.url.path)
        return await call_next(request)

    with TestClient(FastPath(app, predict.router.routes)) as client:
        assert client.post("/predict", files={"file": OWL}).status_code == 200
    assert seen == ["/predict"] * flag
