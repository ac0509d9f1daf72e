"""Paths behind a prefix that a proxy takes away or leaves, and with slashes at their end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import ServiceSettings
from tests.applications import application
from tests.fakes import FakeEngine, image_for
from tests.samples import encoded

OWL = encoded(image_for("owl"))
PNG = {"Content-Type": "image/png"}
PREFIX = "/team-a/images"
PROXY = ("10.1.2.3", 5000)


@contextmanager
def asked_by(address: tuple[str, int] | None = PROXY, **settings: Any) -> Iterator[TestClient]:
    app = application(ServiceSettings(**settings), FakeEngine())
    with TestClient(app, follow_redirects=False, client=address) as client:  # type: ignore[arg-type]
        yield client


@pytest.fixture(scope="module")
def prefixed() -> Iterator[TestClient]:
    with asked_by(root_path=PREFIX + "/") as client:
        yield client


def servers(client: TestClient, headers: dict[str, str]) -> list[dict[str, str]]:
    return client.get("/openapi.json", headers=headers).json()["servers"]


@pytest.mark.parametrize("sent", ["", PREFIX], ids=["taken away", "left"])
def test_every_call_is_found(prefixed: TestClient, sent: str) -> None:
    for path in ("/predict", "/predict?top_k=1", "/predict/"):
        assert prefixed.post(f"{sent}{path}", content=OWL, headers=PNG).json()["label"] == "owl", path
    for path in ("/", "/web/app.js", "/docs", "/v1/models/fake", "/v2/models/fake/", "/health/ready", "/metrics"):
        assert prefixed.get(f"{sent}{path}").status_code == 200, path
    assert set(prefixed.get(f"{sent}/v1/models/nothing").json()) == {"error"}, "as that protocol tells errors"


@pytest.mark.parametrize("sent", ["", PREFIX], ids=["taken away", "left"])
def test_documents_lead_back_through_the_proxy(prefixed: TestClient, sent: str) -> None:
    assert prefixed.get(f"{sent}/openapi.json").json()["servers"] == [{"url": PREFIX}]
    for page in ("/docs", "/redoc"):
        html = prefixed.get(f"{sent}{page}").text
        assert f"{PREFIX}/openapi.json" in html
        assert f"{PREFIX}/static-offline-docs/" in html
        assert '"/static-offline-docs/' not in html
    assert f'<base href="{PREFIX}/">' in prefixed.get(f"{sent}/").text


def test_the_prefix_alone_leads_to_the_page(prefixed: TestClient) -> None:
    answer = prefixed.get(f"{PREFIX}?lang=ko")
    assert (answer.status_code, answer.headers["location"]) == (308, f"{PREFIX}/?lang=ko")


def test_what_only_begins_like_the_prefix_is_another_path(prefixed: TestClient) -> None:
    assert prefixed.get(f"{PREFIX}-of-others/docs").status_code == 404


def test_a_prefix_opens_nothing_that_needs_a_key() -> None:
    with asked_by(root_path="/docs", api_keys=["0" * 64]) as client:
        assert client.get("/docs/docs").status_code == 200
        assert client.get("/docs/model-card").status_code == 401
        assert client.get("/model-card").status_code == 401


@pytest.mark.parametrize(
    ("trusted", "address", "believed"),
    [
        ("127.0.0.1,10.1.0.0/16", PROXY, True),
        ("*", PROXY, True),
        ("127.0.0.1,::1", PROXY, False),
        ("127.0.0.1,::1", None, True),
        ("", None, False),
    ],
    ids=["its network", "all", "others", "over a Unix socket", "nobody"],
)
def test_a_proxy_may_name_the_prefix_if_it_is_trusted(
    trusted: str, address: tuple[str, int] | None, *, believed: bool
) -> None:
    with asked_by(address, forwarded_allow_ips=trusted) as client:
        told = {"X-Forwarded-Prefix": "/elsewhere/"}
        assert servers(client, told) == [{"url": "/elsewhere" if believed else "/"}]
        assert servers(client, {}) == [{"url": "/"}], "that of one request is no other's"


@pytest.mark.parametrize("prefix", ["//evil.example", "/a//b", "https://evil.example", '/"><script>', "/a b", "a", "/"])
def test_what_is_no_path_is_not_believed_of_anybody(prefix: str) -> None:
    with asked_by(forwarded_allow_ips="*") as client:
        assert servers(client, {"X-Forwarded-Prefix": prefix}) == [{"url": "/"}]
        assert "<base" not in client.get("/", headers={"X-Forwarded-Prefix": prefix}).text


@pytest.mark.parametrize("path", ["/predict/", "/predict//"])
def test_a_slash_at_the_end_changes_nothing(path: str) -> None:
    with asked_by() as client:
        assert client.post(path, content=OWL, headers=PNG).json()["label"] == "owl"
        assert client.get("/model-card/").json() == client.get("/model-card").json()
        assert client.get("/docs/").status_code == client.get("/").status_code == 200
