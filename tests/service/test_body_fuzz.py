"""Bodies that are nearly right, to every call that reads one: answered or refused, never a failure."""

import base64
import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import ServiceSettings
from tests.applications import application
from tests.attacks import bodies as attacks
from tests.fakes import FakeEngine, image_for
from tests.samples import encoded
from tests.service.protocols.tfserving.test_tfserving import row

PNG = encoded(image_for("owl"))
TEXT = base64.b64encode(PNG).decode()
OUTPUT = {"name": "probabilities", "parameters": {"classification": 2, "binary_data": True}}
ROWS = {"signature_name": "serving_default", "instances": [row("owl"), {"b64": TEXT}, {"input": {"b64": TEXT}}]}
TENSOR = {"name": "input", "shape": [1, 4, 4, 1], "datatype": "FP32", "parameters": {"x": 1}, "data": [0.5] * 16}
ELEMENTS = struct.pack("<I", len(PNG)) + PNG
HEAD = json.dumps(
    {
        "id": "7",
        "inputs": [
            {"name": "input", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(ELEMENTS)}}
        ],
        "outputs": [OUTPUT],
    }
).encode()
FORM = attacks.PART + PNG + attacks.FORM_END
FILES = FORM.replace(b'"file"', b'"files"')
FORM_HEADERS = {"Content-Type": attacks.FORM_TYPE}
GZIP = {"Content-Encoding": "gzip"}

# A call, a body that it takes, and the headers that belong to it; packed bodies are changed as they are packed.
CALLS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "image": ("/predict", PNG, {"Content-Type": "image/png"}),
    "form": ("/predict", FORM, FORM_HEADERS),
    "batch": ("/predict/batch", FILES[: -len(attacks.FORM_END)] + b"\r\n" + FILES, FORM_HEADERS),
    "json": ("/predict", json.dumps({"image": TEXT}).encode(), {}),
    "json batch": ("/predict/batch", json.dumps({"images": [TEXT, {"b64": TEXT}]}).encode(), {}),
    "packed image": ("/predict", attacks.packed(PNG), GZIP),
    "rows": ("/v1/models/fake:predict", json.dumps(ROWS).encode(), {}),
    "columns": ("/v1/models/fake:predict", json.dumps({"inputs": {"input": [row("cat")]}}).encode(), {}),
    "examples": ("/v1/models/fake:classify", json.dumps({"examples": [{"input": {"b64": TEXT}}]}).encode(), {}),
    "packed rows": ("/v1/models/fake:predict", attacks.packed(json.dumps(ROWS).encode()), GZIP),
    "tensor": ("/v2/models/fake/infer", json.dumps({"inputs": [TENSOR], "outputs": [OUTPUT]}).encode(), {}),
    "binary": ("/v2/models/fake/infer", HEAD + ELEMENTS, {"Inference-Header-Content-Length": str(len(HEAD))}),
    "bare": ("/v2/models/fake/infer", PNG, {"Inference-Header-Content-Length": "0"}),
    "packed tensor": ("/v2/models/fake/infer", attacks.packed(json.dumps({"inputs": [TENSOR]}).encode()), GZIP),
    "packed load": ("/v2/repository/models/fake/load", attacks.packed(b'{"parameters": {}}'), GZIP),
    "load": ("/v2/repository/models/fake/load", b'{"parameters": {"version": "0123456789ab", "x": [1]}}', {}),
}
EACH = 200
NOT_OURS = {503, 504}


@pytest.fixture(scope="module")
def tough() -> Iterator[TestClient]:
    with TestClient(application(ServiceSettings(), FakeEngine())) as client:
        yield client


@pytest.mark.parametrize("call", CALLS)
def test_bodies_that_are_nearly_right_are_answered_or_refused(tough: TestClient, call: str) -> None:
    path, body, headers = CALLS[call]
    assert tough.post(path, content=body, headers=headers).status_code == 200
    chance = random.Random(call)
    for number in range(EACH):
        changed = attacks.mutated(body, chance)
        given: Any = headers
        if "Inference-Header-Content-Length" in headers and chance.random() < 0.3:
            length = chance.choice(
                (str(len(body) + 1), "-1", "1e3", "9" * 18, "9" * 19, "\xb2", "", str(len(HEAD) - 1))
            )
            given = {"Inference-Header-Content-Length": length.encode("latin-1")}
        response = tough.post(path, content=changed, headers=given)
        assert response.status_code < 500 or response.status_code in NOT_OURS, (number, changed, response.text)
        assert len(response.content) < 10_000
