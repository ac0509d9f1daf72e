"""What is deployed beside the service fits it: the dashboard asks for metrics that there are."""

import json
import re

from fastapi.testclient import TestClient

from tests.fakes import image_for
from tests.samples import ROOT, encoded

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
    assert len(mounted) == 4
    for name in mounted:
        assert (ROOT / name).is_file(), name
    for part in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "mem_limit", "pids_limit"):
        assert part in compose
