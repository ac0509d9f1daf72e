"""The runtime for KServe and its example: what KServe would start is a service that answers as KServe asks."""

import re
import shutil
from pathlib import Path

import httpx
import pytest
import yaml

from service.settings import ServiceSettings
from tests.charts.tools import container_of, environment_of
from tests.processes import FAKE_ENGINE, running_service
from tests.samples import ROOT, SHIPPED_MODEL
from tests.test_docs import PAGES, blocks

RUNTIME, EXAMPLE = (
    yaml.safe_load((ROOT / "deploy" / "kserve" / name).read_text())
    for name in ("runtime.yaml", "inference-service.yaml")
)
CONTAINER = container_of(RUNTIME["spec"])
MODEL = EXAMPLE["spec"]["predictor"]["model"]
MOUNTED = Path("/mnt/models")  # where KServe puts the model


def test_the_example_asks_for_what_the_runtime_has() -> None:
    assert MODEL["modelFormat"]["name"] in {known["name"] for known in RUNTIME["spec"]["supportedModelFormats"]}
    assert MODEL["protocolVersion"] in RUNTIME["spec"]["protocolVersions"]
    assert EXAMPLE["metadata"]["name"] == Path(MODEL["storageUri"]).stem


def test_the_service_listens_where_kserve_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(CONTAINER).items():
        monkeypatch.setenv(name, str(value))
    settings = ServiceSettings(_cli_parse_args=[])
    assert settings.model_path == str(MOUNTED)
    assert settings.replicated
    assert [port["containerPort"] for port in CONTAINER["ports"]] == [settings.port]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["httpGet"]["port"] == settings.port
    (mount,) = CONTAINER["volumeMounts"]
    assert settings.cache_dir is not None
    assert settings.cache_dir.is_relative_to(mount["mountPath"])


def test_the_model_answers_under_the_name_of_its_file(tmp_path: Path) -> None:
    name = EXAMPLE["metadata"]["name"]
    shutil.copy(SHIPPED_MODEL, tmp_path / f"{name}.h5")
    with running_service("--model-path", tmp_path, "--replicated", *FAKE_ENGINE) as service:
        for path in (f"/v2/models/{name}/ready", f"/v1/models/{name}", "/health/ready", "/health/live"):
            assert httpx.get(f"{service.url}{path}").status_code == 200, path
        assert httpx.post(f"{service.url}/v2/repository/models/{name}/load").status_code == 501


def test_the_example_for_knative_is_of_this_version() -> None:
    (example,) = (yaml.safe_load(block) for block in blocks(PAGES["docs/kubernetes.md"], "yaml"))
    container = container_of(example["spec"]["template"]["spec"])
    assert container["image"] == CONTAINER["image"]
    (exposed,) = re.findall(r"^EXPOSE (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert "8000" in exposed.split()
    assert container["ports"] == [{"containerPort": 8000}]
