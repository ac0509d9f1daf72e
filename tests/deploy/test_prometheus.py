"""The shipped configuration of Prometheus, read by Prometheus itself: it scrapes the service with keys and without."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_port
from tests.processes import FAKE_ENGINE, running_service
from tests.samples import ROOT, left_out_without

DEPLOY = ROOT / "deploy"
KEY = "a key for Prometheus alone"

pytestmark = left_out_without(shutil.which("prometheus") is not None, "Debian's package prometheus")


@contextmanager
def prometheus(folder: Path, service_url: str) -> Iterator[str]:
    """Prometheus with the files in `folder`, at a free port; its address."""
    configuration = folder / "prometheus.yml"
    shutil.copy(DEPLOY / "prometheus-alerts.yml", folder)
    shipped = (DEPLOY / "prometheus.yml").read_text()
    assert "serve:8000" in shipped
    configuration.write_text(shipped.replace("serve:8000", service_url.removeprefix("http://")))
    port = free_port()
    options = ["--storage.tsdb.path", folder / "data", "--web.listen-address", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        ["prometheus", "--config.file", configuration, *options], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                if "ready to receive web requests" in line:
                    yield f"http://127.0.0.1:{port}"
                    break
            else:
                raise RuntimeError("Prometheus did not start")
        finally:
            process.kill()


def target(url: str) -> dict[str, Any]:
    """What became of the first scrape that had its time."""
    with httpx.Client(base_url=url) as client:
        while True:
            (found,) = client.get("/api/v1/targets").raise_for_status().json()["data"]["activeTargets"] or [None]
            if found and found["health"] != "unknown" and "deadline exceeded" not in found["lastError"]:
                return found


@pytest.mark.parametrize(
    ("key_of_service", "sent", "health"),
    [
        pytest.param(None, "", "up", id="without keys, with the empty file as shipped"),
        pytest.param(KEY, KEY, "up", id="with a key"),
        pytest.param(KEY, KEY + "\n", "up", id="with a key and an end of line"),
        pytest.param(KEY, "", "down", id="with a key that Prometheus was not given"),
    ],
)
def test_it_scrapes(tmp_path: Path, key_of_service: str | None, sent: str, health: str) -> None:
    (tmp_path / "metrics-key").write_text(sent)
    digest = ["--api-keys", hashlib.sha256(key_of_service.encode()).hexdigest()] if key_of_service else []
    with running_service(*FAKE_ENGINE, *digest) as service, prometheus(tmp_path, service.url) as url:
        found = target(url)
    assert found["health"] == health, found["lastError"]
    assert found["labels"]["job"] == "keras-image-service"
    if health == "down":
        assert "401" in found["lastError"]


def test_the_shipped_key_is_empty() -> None:
    assert (DEPLOY / "metrics-key").read_bytes() == b""
