"""With API keys set nothing tells a caller without one which models there are: no method, no path, no error."""

import hashlib
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from models.card import ModelCard
from service.settings import ServiceSettings
from tests.applications import application
from tests.attacks.callers import METHODS, paths, wrong_key
from tests.fakes import FakeEngine
from tests.service.http.test_middleware import figures

KEY = "correct horse battery staple"
MODEL = "our-secret-model"
CLASSES = ("our-secret-class", "our-secret-other", "our-secret-third")
SHOP = "https://shop.example"
ALLOWED = {200, 307, 401, 404, 405}


class Secret(FakeEngine):
    @staticmethod
    def card_for(height: int, width: int, channels: int) -> ModelCard:
        card = FakeEngine.card_for(height, width, channels)
        return card.model_copy(update={"name": MODEL, "class_names": CLASSES})


@pytest.fixture(scope="module")
def closed() -> Iterator[TestClient]:
    settings = ServiceSettings(api_keys=[hashlib.sha256(KEY.encode()).hexdigest()], cors_origins=[SHOP])
    with TestClient(application(settings, Secret("5ec2e75ec2e7")), follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Origin": SHOP}], ids=["nothing", "wrong", "origin"])
def test_no_path_tells_of_the_models(closed: TestClient, method: str, headers: dict[str, str]) -> None:
    for path in paths(MODEL):
        answer = closed.request(method, path, headers=headers)
        assert answer.status_code in ALLOWED, path
        told = f"{answer.headers} {answer.text}"
        assert not [secret for secret in (MODEL, "our-secret", "5ec2e75ec2e7", "fake") if secret in told], path


def test_nor_does_a_preflight_request(closed: TestClient) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    for path in paths(MODEL):
        answer = closed.options(path, headers=asked)
        assert (answer.status_code, answer.text) == (200, "OK"), path
        assert "our-secret" not in str(answer.headers)


def test_with_the_key_they_do(closed: TestClient) -> None:
    """Or the tests above would look for nothing."""
    for path in ("/health/ready?model=x", "/v1/models/x", "/v1/models", "/v2/models/x"):
        assert (
            MODEL
            in closed.options(path, headers={"X-API-Key": KEY}).text + closed.get(path, headers={"X-API-Key": KEY}).text
        )


def test_health_without_a_key_is_of_the_default_model(closed: TestClient) -> None:
    assert closed.get("/health/ready").status_code == 200
    assert closed.get("/health/ready?model=x").status_code == 401
    assert closed.get(f"/health/ready?model={MODEL}").status_code == 401


def test_keys_that_are_tried_are_counted_and_make_no_series_of_their_own(closed: TestClient) -> None:
    def rejected() -> dict[str, float]:
        return figures(closed.get("/metrics", headers={"X-API-Key": KEY}).text)

    before = rejected()
    for number in range(100):
        assert closed.get(f"/model-card?{number}", headers=wrong_key(number)).status_code == 401
        assert closed.post(f"/v1/models/{number}:predict", headers=wrong_key(number)).status_code == 401
        assert closed.post(f"/v2/models/{number}/infer", headers=wrong_key(number)).status_code == 401
    after = rejected()
    name = "keras_service_rejected_total,reason=unauthorized"
    assert after[name] - before.get(name, 0) == 300
    assert len(after.keys() - before.keys()) < 20
