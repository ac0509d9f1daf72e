"""The service behind a real nginx, under a prefix that it takes away or leaves; the page in a real browser."""

import shutil
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.processes import running_service
from tests.samples import ANKLE_BOOT, left_out_without

CHROMIUM = shutil.which("chromium")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    left_out_without(NGINX is not None, "Debian's package nginx-light"),
]

_CONFIGURATION = """
daemon off; pid nginx.pid; error_log stderr; worker_processes 1;
events {{}}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port};
    location /taken/ {{ proxy_pass {service}/; proxy_set_header X-Forwarded-Prefix /taken; }}
    location = /taken {{ proxy_pass {service}/; proxy_set_header X-Forwarded-Prefix /taken; }}
    location /left {{ proxy_pass {service}; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_service("--root-path", "/left") as service:
        (folder / "nginx.conf").write_text(_CONFIGURATION.format(port=port, service=service.url))
        nginx = subprocess.Popen([str(NGINX), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"])
        try:
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
                client.get(f"{url}/left/health/ready").raise_for_status()
            yield url
        finally:
            nginx.terminate()
            nginx.wait()


@pytest.mark.parametrize("prefix", ["/taken", "/left"])
def test_every_call_and_document(proxy: str, prefix: str) -> None:
    with httpx.Client(base_url=proxy + prefix) as client:
        for path in ("/predict", "/predict/"):
            answer = client.post(path, content=ANKLE_BOOT.read_bytes(), headers={"Content-Type": "image/png"})
            assert answer.status_code == 200
        assert client.get("/openapi.json").json()["servers"] == [{"url": prefix}]


@pytest.mark.parametrize("prefix", ["/taken", "/taken/", "/left", "/left/"])
def test_the_page_and_the_documentation(proxy: str, prefix: str) -> None:
    outside: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(locale="en-US")
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
        browser.close()
