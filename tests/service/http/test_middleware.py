"""What every request passes: an id, a key, an allowance, careful headers; and what is counted and logged of it."""

import hashlib
import json
import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.engines.fake import FakeLoader
from service.settings import ServiceSettings
from tests.applications import application
from tests.fakes import FakeEngine, image_for
from tests.processes import Service, running_service, wait_for_all
from tests.samples import ANKLE_BOOT, encoded
from tests.service.api.test_predict import assert_problem

OWL = encoded(image_for("owl"))
PNG = {"Content-Type": "image/png"}
KEY, OTHER = "correct horse battery staple", "another one"
DIGESTS = [hashlib.sha256(key.encode()).hexdigest() for key in (KEY, OTHER)]


def behind_keys(**given: object) -> TestClient:
    settings = ServiceSettings(api_keys=DIGESTS, **given)
    return TestClient(application(settings, FakeEngine()), raise_server_exceptions=False)


@pytest.fixture
def closed() -> Iterator[TestClient]:
    with behind_keys(max_body_bytes=100) as client:
        yield client


def figures(text: str) -> dict[str, float]:
    """Every sample of an exposition, by its name and labels."""
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    "headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {OTHER}"}, {"Authorization": f"bearer {KEY}"}]
)
def test_a_key_opens_by_either_header(closed: TestClient, headers: dict[str, str]) -> None:
    assert closed.post("/predict", content=OWL, headers=PNG | headers).status_code == 200
    assert closed.get("/model-card", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        ({}, "needs an API key"),
        ({"X-API-Key": "wrong"}, "not one that this service knows"),
        ({"X-API-Key": DIGESTS[0]}, "not one that this service knows"),
        ({"Authorization": f"Basic {KEY}"}, "needs an API key"),
        ({"X-API-Key": b"\xff\xfe"}, "API key"),
    ],
)
def test_without_a_key_that_is_known_nothing_is_read(closed: TestClient, headers: dict, part: str) -> None:
    # A body that is too large would be told so, if it were looked at.
    response = closed.post("/predict", content=bytes(200), headers=PNG | headers)
    assert_problem(response, 401, part)
    assert response.headers["www-authenticate"] == "Bearer"
    for path in ("/metrics", "/model-card", "/plot", "/predict?top_k=1"):
        assert closed.get(path, headers=headers).status_code == 401, path


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/", "/web/app.js", "/docs", "/openapi.json"])
def test_health_and_the_pages_stay_open(closed: TestClient, path: str) -> None:
    assert closed.get(path).status_code == 200


def test_too_many_requests_are_told_when_to_come_back() -> None:
    with behind_keys(requests_per_minute=1) as client:
        assert client.get("/model-card", headers={"X-API-Key": KEY}).status_code == 200
        refused = client.get("/model-card", headers={"X-API-Key": KEY})
        assert_problem(refused, 429, "1 requests a minute")
        assert 1 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize("path", ["/predict", "/model-card", "/nothing", "/web/app.js"])
def test_each_answer_has_the_id_that_was_given_or_a_new_one(client: TestClient, path: str) -> None:
    assert client.post(path, headers={"X-Request-ID": "from-outside:1"}).headers["x-request-id"] == "from-outside:1"
    made = [client.post(path).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in made)
    for bad in ("a b", "x" * 129, "<script>"):
        assert client.post(path, headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/model-card", "/nothing", "/health/live"])
def test_browsers_are_told_to_be_careful(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    if headers["content-type"].startswith("text/html"):
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers.get_list("content-security-policy") == [headers["content-security-policy"]]


def test_pages_of_other_hosts_may_call_only_if_they_are_named(client: TestClient) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.post("/predict", headers=asked).headers
    with behind_keys(cors_origins=["https://shop.example"]) as open_to_shop:
        preflight = open_to_shop.options("/predict", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
        answer = open_to_shop.post("/predict", content=OWL, headers=PNG | asked | {"X-API-Key": KEY})
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        other = open_to_shop.options("/predict", headers=asked | {"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("origins", [[], ["https://shop.example"]])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_preflight_request_that_is_refused_says_what_to_do(origins: list[str], method: str) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": method}
    with behind_keys(cors_origins=origins) as client:
        refused = client.options("/predict", headers=asked)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert "a page of 'https://elsewhere.example' may not send" in refused.json()["detail"]
    assert "--cors-origins" in refused.json()["detail"]
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origins", [[], ["https://shop.example"]])
def test_the_first_page_that_may_not_call_is_logged_with_the_option_that_lets_it_in(
    origins: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A browser tells its person nothing of why a call failed."""
    with behind_keys(cors_origins=origins) as client, caplog.at_level("WARNING"):
        for page in ["https://elsewhere.example\x1b[31m", "https://elsewhere.example", "https://third.example"]:
            client.options("/predict", headers={"Origin": page, "Access-Control-Request-Method": "POST"})
    (line,) = [record.getMessage() for record in caplog.records if "--cors-origins" in record.getMessage()]
    assert line.startswith(r"a page of 'https://elsewhere.example\x1b[31m' asked to call and was refused")


def test_what_happened_is_counted(client: TestClient) -> None:
    before = figures(client.get("/metrics").text)
    for _ in range(3):
        client.post("/predict", content=OWL, headers=PNG)
    client.post("/predict?top_k=1", content=OWL, headers=PNG)
    client.post("/predict", files={"file": b"GIF"})
    client.get("/nothing/here")
    client.get("/nothing/else")
    client.get("/v1/models/fake")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    after = figures(response.text)

    def risen(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert risen("keras_service_requests_total,route=/predict,status=200") == 4
    assert risen("keras_service_requests_total,route=/predict,status=415") == 1
    assert risen("keras_service_requests_total,route=other,status=404") == 2
    assert risen("keras_service_requests_total,route=/v1/models{call:path},status=200") == 1
    assert risen("keras_service_request_duration_seconds_count,route=/predict") == 5
    assert risen("keras_service_rejected_total,reason=unknown_format") == 1
    assert risen("keras_service_predictions_total,label=owl,model=fake") == 4
    assert risen("keras_service_batch_size_sum") == 4
    batches = risen("keras_service_batch_size_count")
    assert (
        risen("keras_service_inference_seconds_count") == risen("keras_service_queue_wait_seconds_count") == batches > 0
    )
    assert risen("keras_service_queue_depth") == 0


def test_the_devices_memory_is_told(monkeypatch: pytest.MonkeyPatch, classifier: FakeEngine) -> None:
    monkeypatch.setattr(FakeLoader, "device_memory", lambda _: 1234)
    with TestClient(application(ServiceSettings(), classifier)) as client:
        assert figures(client.get("/metrics").text)["keras_service_device_memory_bytes"] == 1234


@pytest.fixture(scope="module")
def logged() -> Iterator[Service]:
    with running_service("--workers", 2, "--access-log", "--log-format", "json") as service:
        wait_for_all(service, 2)
        yield service


def test_several_workers_are_counted_together(logged: Service) -> None:
    for _ in range(20):
        httpx.post(f"{logged.url}/predict", content=ANKLE_BOOT.read_bytes(), headers=PNG).raise_for_status()
    for _ in range(4):  # whichever of them is asked
        counted = figures(httpx.get(f"{logged.url}/metrics").text)
        assert counted["keras_service_requests_total,route=/predict,status=200"] == 20
        assert counted["keras_service_predictions_total,label=Ankle boot,model=best-cnn-model"] == 20
        assert counted["keras_service_out_of_distribution_total,model=best-cnn-model"] == 0
        assert counted["keras_service_queue_depth"] == 0
        assert counted["keras_service_model_load_seconds"] > 0
        assert [name for name in counted if name.startswith("keras_service_model_info")]


@pytest.mark.parametrize("path", ["/", "/health/ready", "/model-card", "/v2/health/live", "/v1/models/best-cnn-model"])
def test_head_is_get_without_the_body(logged: Service, path: str) -> None:
    head, get = (httpx.request(method, logged.url + path) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


def test_head_is_not_post(logged: Service) -> None:
    assert httpx.head(f"{logged.url}/predict").status_code == 405


def test_each_line_of_the_log_is_an_object_with_the_requests_id(logged: Service) -> None:
    httpx.get(f"{logged.url}/model-card", headers={"X-Request-ID": "find-me"})
    logged.stop()
    lines = [json.loads(line) for line in (logged.log + logged.rest_of_log).splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["request_id"] == "find-me"]
    assert line["message"].startswith("GET /model-card 200 in ")
    assert (line["level"], line["logger"], line["route"], line["status"]) == ("INFO", "service", "/model-card", 200)
    assert line["seconds"] > 0
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
