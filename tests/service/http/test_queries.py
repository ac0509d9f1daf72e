"""Query parameters: a misspelt one is told, but for those who add parameters to whatever they ask."""

import pytest
from fastapi.testclient import TestClient

from tests.fakes import image_for
from tests.samples import encoded
from tests.service.api.test_predict import assert_problem

OWL = encoded(image_for("owl"))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("POST /predict?topk=1", "unknown query parameter 'topk'; did you mean 'top_k'?"),
        ("POST /predict?top-k=1", "unknown query parameter 'top-k'; did you mean 'top_k'?"),
        ("POST /predict?top_k=1&Preparation=none", "parameter 'Preparation'; did you mean 'preparation'?"),
        ("POST /predict?utm_source=x", "this call takes 'top_k', 'preparation', 'return_input', 'model'"),
        ("POST /predict/batch?return_input=true", "unknown query parameter 'return_input'; this call takes 'top_k'"),
        ("POST /embed?normalise=true", "did you mean 'normalize'?"),
        ("POST /plot/attribution?klass=owl", "did you mean 'class'?"),
        ("POST /plot/feature-maps?layers=conv2d", "did you mean 'layer'?"),
        ("POST /trace?filters=1", "did you mean 'filter'?"),
        ("GET /plot?styl=blocks", "did you mean 'style'?"),
        ("GET /plot/kernels?channels=1", "did you mean 'channel'?"),
        ("GET /model-card?modle=fake", "did you mean 'model'?"),
        ("GET /model-summary?modle=fake", "did you mean 'model'?"),
    ],
)
def test_an_unknown_query_parameter_is_told_with_the_nearest_one(client: TestClient, call: str, text: str) -> None:
    method, address = call.split()
    response = client.request(method, address, content=OWL if method == "POST" else None)
    assert_problem(response, 400, "unknown query parameter", text)


@pytest.mark.parametrize(
    ("call", "file", "field", "text"),
    [
        ("/predict", "file", {"top_k": "3"}, "'top_k', which is a parameter: those go into the address, as ?top_k=3"),
        ("/predict", "file", {"model": "a & b"}, "as ?model=a+%26+b"),
        ("/predict/batch", "files", {"preparation": "none"}, "as ?preparation=none"),
        ("/embed", "files", {"normalize": "true"}, "as ?normalize=true"),
        ("/plot/attribution", "file", {"class": "owl"}, "as ?class=owl"),
    ],
)
def test_a_parameter_that_is_sent_as_a_field_of_the_form_is_told(
    client: TestClient, call: str, file: str, field: dict[str, str], text: str
) -> None:
    assert_problem(client.post(call, files={file: OWL}, data=field), 400, "the form has a field", text)


def test_other_fields_of_a_form_are_left_alone(client: TestClient) -> None:
    fields = {"csrf_token": "top_k", "submit": "send"}
    assert client.post("/predict", files={"file": OWL}, data=fields).json()["label"] == "owl"


def test_what_it_was_set_to_is_not_told(client: TestClient) -> None:
    assert "secret" not in client.post("/predict?api_key=secret", content=OWL).text


@pytest.mark.parametrize("name", ["%FF%0d%0a", "x" * 9000, "%F0%9F%90%A6"])
def test_a_name_of_any_kind_is_told(client: TestClient, name: str) -> None:
    response = client.post(f"/predict?{name}=1", content=OWL)
    assert_problem(response, 400, "unknown query parameter")
    assert len(response.json()["detail"]) < 300


@pytest.mark.parametrize(
    "call",
    [
        "GET /?utm_source=mail",
        "GET /docs?x=1",
        "GET /redoc?x=1",
        "GET /openapi.json?x=1",
        "GET /health/live?probe=1",
        "GET /health/ready?probe=1",
        "GET /metrics?x=1",
        "GET /v2/health/ready?x=1",
        "GET /v1/models/fake?x=1",
        "GET /v2/models/fake?x=1",
    ],
)
def test_those_who_add_parameters_to_whatever_they_ask_are_answered(client: TestClient, call: str) -> None:
    method, address = call.split()
    assert client.request(method, address).status_code == 200
