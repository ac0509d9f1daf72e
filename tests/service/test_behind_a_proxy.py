"""The service behind a real nginx, under a prefix that it takes away or leaves; the page in a real browser.

Once as docs/operations.md has it, with HTTPS.
"""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import psutil
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.ports import free_port
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, encoded, left_out_without
from tests.test_docs import DEFAULT_ADDRESS, PAGES, blocks

CHROMIUM = shutil.which("chromium")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    left_out_without(NGINX is not None, "Debian's package nginx-light"),
]

_CONFIGURATION = """
events {{}}
http {{
  server {{
    listen 127.0.0.1:{port};
    location /taken/ {{ proxy_pass {service}/; proxy_set_header X-Forwarded-Prefix /taken; }}
    location = /taken {{ proxy_pass {service}/; proxy_set_header X-Forwarded-Prefix /taken; }}
    location /left {{ proxy_pass {service}; }}
  }}
}}
"""
# What a test has otherwise than a machine that serves: it may write to its own folder alone.
_FOR_TESTS = "daemon off; user root; pid nginx.pid; error_log stderr crit; worker_processes 1;"
_FOLDERS = " ".join(f"{what}_temp_path {what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


@contextmanager
def running_nginx(configuration: str, folder: Path, port: int) -> Iterator[None]:
    """Until it listens at `port`, and from then on."""
    (folder / "nginx.conf").write_text(configuration.replace("http {", f"http {{ access_log off; {_FOLDERS}", 1))
    nginx = subprocess.Popen([str(NGINX), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf", "-g", _FOR_TESTS])
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            client.get(f"http://127.0.0.1:{port}/")
        yield
    finally:
        nginx.terminate()
        nginx.wait()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with (
        running_service("--root-path", "/left") as service,
        running_nginx(_CONFIGURATION.format(port=port, service=service.url), tmp_path_factory.mktemp("nginx"), port),
    ):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("prefix", ["/taken", "/left"])
def test_every_call_and_document(proxy: str, prefix: str) -> None:
    with httpx.Client(base_url=proxy + prefix) as client:
        for path in ("/predict", "/predict/"):
            answer = client.post(path, content=ANKLE_BOOT.read_bytes(), headers={"Content-Type": "image/png"})
            assert answer.status_code == 200
        assert client.get("/openapi.json").json()["servers"] == [{"url": prefix}]


@pytest.mark.parametrize("prefix", ["/taken", "/taken/", "/left", "/left/"])
def test_the_page_and_the_documentation(proxy: str, prefix: str) -> None:
    with opened() as page:
        looked_at(page, proxy, prefix)


@contextmanager
def opened(**options: object) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(locale="en-US", **options)
        browser.close()


def looked_at(page: Page, proxy: str, prefix: str) -> None:
    """The page answers an image, and the documentation is there; neither asks for anything outside of the prefix."""
    outside: list[str] = []
    inside = (proxy + prefix, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(inside) else outside.append(request.url))
    page.goto(proxy + prefix)
    page.locator("#samples button").first.click()
    expect(page.locator("#status")).to_contain_text("It is: ")
    expect(page.locator("#curl")).to_contain_text(f"{proxy}/{prefix.strip('/')}/predict?")
    page.get_by_role("link", name="API").first.click()
    expect(page.locator(".opblock").first).to_be_visible()
    expect(page.locator(".servers")).to_contain_text(f"/{prefix.strip('/')}")
    assert outside == []
    page.goto(f"{proxy}/{prefix.strip('/')}/redoc")  # asks its maker's host for a logo, which it may not
    expect(page.get_by_role("heading", name="Keras image service").first).to_be_visible()


# As docs/operations.md has it


class Documented(NamedTuple):
    http: str
    https: str
    certificate: Path
    service: Service


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documented]:
    """Its addresses, ports and files replaced, and nothing else."""
    folder = tmp_path_factory.mktemp("documented")
    certificate, key = folder / "example.org.crt", folder / "example.org.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
            *("-out", certificate, "-keyout", key),
        ],
        check=True,
        capture_output=True,
    )
    (configuration,) = blocks(PAGES["docs/operations.md"], "nginx")
    http, https = free_port(), free_port()
    with running_service() as service:
        replaced = {
            DEFAULT_ADDRESS: service.url.removeprefix("http://"),
            "/etc/nginx": str(folder),
            "listen 80;": f"listen 127.0.0.1:{http};",
            "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        }
        for text, by in replaced.items():
            assert text in configuration
            configuration = configuration.replace(text, by)
        with running_nginx(configuration, folder, http):
            yield Documented(f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}", certificate, service)


@pytest.fixture
def client(documented: Documented) -> Iterator[httpx.Client]:
    trusted = ssl.create_default_context(cafile=documented.certificate)
    with httpx.Client(base_url=documented.https, verify=trusted) as client:
        yield client


def test_the_documented_nginx_leads_to_https_and_into_the_prefix(documented: Documented, client: httpx.Client) -> None:
    assert httpx.get(f"{documented.http}/images/").headers["Location"] == "https://127.0.0.1/images/"
    assert client.get("/images").headers["Location"] == f"{documented.https}/images/"
    assert client.get("/images/openapi.json").json()["servers"] == [{"url": "/images"}]
    assert client.get("/").status_code == 404


def test_the_documented_nginx_passes_on_photographs_and_what_is_wrong_with_them(client: httpx.Client) -> None:
    photograph = encoded(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8), "PNG")
    assert 8_000_000 < len(photograph) < 10_000_000
    assert client.post("/images/predict", content=photograph).json()["label"]
    refused = client.post("/images/predict", content=b"no image")
    assert refused.status_code == 415
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_the_documented_nginx_keeps_its_connection_to_the_service(documented: Documented, client: httpx.Client) -> None:
    connected = set()
    for _ in range(5):
        client.post("/images/predict", content=ANKLE_BOOT.read_bytes()).raise_for_status()
        connections = psutil.Process(documented.service.process.pid).net_connections("tcp")
        connected.add(tuple(one.raddr for one in connections if one.status == psutil.CONN_ESTABLISHED))
    assert len(connected) == 1
    assert connected != {()}


def test_the_page_and_the_documentation_behind_the_documented_nginx(documented: Documented) -> None:
    with opened(ignore_https_errors=True) as page:
        looked_at(page, documented.https, "/images")
