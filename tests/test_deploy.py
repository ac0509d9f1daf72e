"""What is deployed beside the service fits it: the dashboard asks for metrics that there are."""

import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient

from service.platforms import PORT_VARIABLES
from service.settings import ModelSettings, ServiceSettings
from tests.fakes import image_for
from tests.processes import running_service
from tests.samples import ROOT, SHIPPED_MODEL, encoded
from tests.test_docs import PAGES, blocks
from training.network import build_network

PANELS = json.loads((ROOT / "deploy" / "grafana" / "service.json").read_text())["panels"]


def test_every_metric_of_the_dashboard_is_one(client: TestClient) -> None:
    client.post("/predict", content=encoded(image_for("owl")), headers={"Content-Type": "image/png"})
    exposed = set(re.findall(r"^# TYPE (keras_service_\w+) ", client.get("/metrics").text, re.MULTILINE))
    asked = {
        re.sub("_(bucket|sum|count)$", "", name)
        for panel in PANELS
        for target in panel["targets"]
        for name in re.findall(r"keras_service_\w+", target["expr"])
    }
    assert asked
    assert asked <= exposed


def test_no_two_panels_lie_over_each_other() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len(set(places)) == len(places) > 5


def test_the_files_that_the_compose_file_mounts_are_there() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    mounted = re.findall(r"\./(deploy/[\w./-]+):", compose)
    assert len(mounted) == 5
    for name in mounted:
        assert (ROOT / name).is_file(), name
    for part in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "mem_limit", "pids_limit"):
        assert part in compose


def test_the_image_leaves_the_port_to_the_platforms_and_asks_for_health_there() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    variables = dict(re.findall(r"(SERVICE_\w+)=(\S+)", dockerfile.rpartition("FROM")[2]))
    assert (
        not {"SERVICE_PORT", "SERVICE_MODEL_PATH", "SERVICE_HEALTH_ROUTE", "SERVICE_PREDICT_ROUTE"} & variables.keys()
    )
    default = ServiceSettings.model_fields["model_path"].default
    assert "WORKDIR /\n" in dockerfile
    assert f"COPY {default} /{default}" in dockerfile  # and so it is found
    (check,) = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])\n", dockerfile, re.DOTALL)
    program = json.loads(check)[-1]
    with running_service("--engine", "fake") as service:
        port = service.url.rpartition(":")[2]
        for name in ("SERVICE_PORT", *PORT_VARIABLES):
            subprocess.run([sys.executable, "-c", program], env={name: port}, check=True)
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run([sys.executable, "-c", program], env={"PORT": "1"}, check=True, capture_output=True)


# Docker with one's own model


def environment_by_compose(service: str, shell: dict[str, str]) -> dict[str, str]:
    """What the compose file gives that container: names without a value as the shell has them, or not at all."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    given = compose["services"][service]["environment"]
    passed_on = {name: shell[name] for name, value in given.items() if value is None and name in shell}
    interpolated = {
        name: re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: shell.get(found[1]) or found[2], value)
        for name, value in given.items()
        if value is not None
    }
    return passed_on | interpolated


def docker_commands(program: str) -> list[list[str]]:
    """The words of each such command in docs/operations.md."""
    lines = "".join(blocks(PAGES["docs/operations.md"], "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if program in line]


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "my-model.keras"
    build_network(8, 8, 3, 3, filters=(4,), dense=5, dropout=0.1).save(path)
    return path


def card_of_a_service_with(environment: dict[str, str], models: Path) -> dict[str, Any]:
    """As the image starts it, with `models` in place of its folder /models."""
    path = environment["SERVICE_MODEL_PATH"].replace("/models", str(models))
    with running_service(**environment | {"SERVICE_MODEL_PATH": path}) as service:
        card: dict[str, Any] = httpx.get(f"{service.url}/model-card").json()
    return card


def test_what_describes_a_model_reaches_the_container_by_compose() -> None:
    described = {f"SERVICE_{name.upper()}": name for name in ModelSettings.model_fields}
    assert described.items() <= environment_by_compose("serve", described).items()
    assert described.items() <= environment_by_compose("gpu", described).items()


def test_compose_serves_the_shipped_model_where_the_shell_says_nothing() -> None:
    environment = environment_by_compose("serve", {})
    assert environment == {"SERVICE_MODEL_PATH": "/models/best-cnn-model.h5"}
    assert environment_by_compose("gpu", {}) == environment | {"SERVICE_DEVICE": "gpu"}
    assert card_of_a_service_with(environment, SHIPPED_MODEL.parent)["name"] == "best-cnn-model"


def test_compose_and_docker_run_serve_ones_own_model_as_it_is_described(own_model: Path) -> None:
    (by_compose,) = (words for words in docker_commands("docker compose up") if words[0] != "docker")
    shell = dict(word.split("=") for word in by_compose if "=" in word)
    (run,) = (words for words in docker_commands("docker run") if any("my-model" in word for word in words))
    environment = dict(value.split("=") for option, value in pairwise(run) if option == "-e")
    (volume,) = (value for option, value in pairwise(run) if option == "-v")
    assert volume == f"./my-model.keras:{environment['SERVICE_MODEL_PATH']}:ro"
    assert environment_by_compose("serve", shell) == environment
    card = card_of_a_service_with(environment, own_model.parent)
    assert card["name"] == "my-model"
    assert card["class_names"] == ["cat", "dog", "owl"]
    assert {one["value"] for one in card["sources"] if one["field"] == "pixels"} == {"-1..1"}
