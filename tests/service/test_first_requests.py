"""The programs of docs/first-requests.md, as they stand there: against a service with keys that is busy at first."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import BAG, CHROMIUM
from tests.processes import running_service
from tests.samples import ROOT, left_out_without
from tests.service.predict.services import problem, small_service
from tests.test_docs import DEFAULT_ADDRESS, PAGES, blocks

PAGE = PAGES["docs/first-requests.md"]
BY_REQUESTS, BY_HTTPX = blocks(PAGE, "python")
(IN_A_PAGE,) = blocks(PAGE, "html")
(PROBLEM,) = blocks(PAGE, "json")
SURE_OF_THE_BAG = r"Bag: (0\.999|1\.000)"
both = pytest.mark.parametrize("program", [BY_REQUESTS, BY_HTTPX], ids=["requests", "httpx"])
needs_chromium = left_out_without(CHROMIUM is not None, "Debian's package chromium")


class PageServer(NamedTuple):
    folder: Path
    port: int


class Busy(NamedTuple):
    """A way to the service, on which each call is answered with 503 the first time; and what was asked on it."""

    url: str
    asked: list[tuple[str, str]]


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """As the page says to start one, at a free port."""
    folder = tmp_path_factory.mktemp("page")
    command = next(line for block in blocks(PAGE, "sh") for line in block.splitlines() if "http.server" in line)
    arguments = command.replace("8080", "0").split()[1:]
    server = subprocess.Popen(
        [sys.executable, "-u", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        found = re.search(r"port (\d+)", server.stdout.readline())
        assert found
        yield PageServer(folder, int(found[1]))
    finally:
        server.terminate()
        server.communicate()


@pytest.fixture(scope="module")
def service_url(page_server: PageServer) -> Iterator[str]:
    """The shipped model behind the key of the examples, for pages of that server."""
    keys = ("--api-keys", sha256(b"KEY").hexdigest())
    with running_service(*keys, "--cors-origins", f"http://127.0.0.1:{page_server.port}") as service:
        yield service.url


@pytest.fixture
def busy(service_url: str) -> Iterator[Busy]:
    with busy_at_first(service_url) as busy:
        yield busy


@contextmanager
def busy_at_first(service_url: str) -> Iterator[Busy]:
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = client.request(self.command, self.path, headers=dict(self.headers), content=content)
            headers = dict(answer.headers)
            status, content = answer.status_code, answer.content
            if self.command == "POST" and ("POST", self.path) not in asked:
                status, content = 503, b'{"detail": "more waits already than may"}'
                headers |= {"retry-after": "0", "content-type": "application/problem+json"}
            asked.append((self.command, self.path))
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_OPTIONS(self) -> None:
            self.do_POST()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with httpx.Client(base_url=service_url) as client:
            yield Busy(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def at(url: str, example: str) -> str:
    return example.replace(f"http://{DEFAULT_ADDRESS}", url)


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def said_by(program: str) -> list[str]:
    finished = run(program)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_the_problem_document_is_the_real_one(service_url: str) -> None:
    form = {"file": (ROOT / "README.md").read_bytes()}
    answer = httpx.post(f"{service_url}/predict", files=form, headers={"X-API-Key": "KEY"})
    assert answer.json() == json.loads(PROBLEM)


# Python


def error_of(finished: subprocess.CompletedProcess[str]) -> str:
    """What it ended with. Warnings of tasks that were cancelled before they had begun may follow."""
    (error,) = re.findall(r"^ValueError: .*", finished.stderr, re.MULTILINE)
    return error


def test_the_program_with_requests_answers_one_image_and_several_and_tells_problems(busy: Busy) -> None:
    first, *batch, readme, refused = said_by(at(busy.url, BY_REQUESTS))
    detail = json.loads(PROBLEM)["detail"]
    assert re.fullmatch(SURE_OF_THE_BAG, first)
    assert len(batch) == 3
    assert all(re.fullmatch(r"8-bag-\d+\.png Bag", line) for line in batch)
    assert readme == f"README.md has a problem: {detail}"
    assert refused == f"refused: {detail}"


def test_the_program_with_httpx_answers_each_image(busy: Busy) -> None:
    said = said_by(at(busy.url, BY_HTTPX))
    right = [line for line in said if re.match(r"\d-([a-z-]+)-\d+\.png (.+)", line)]
    assert len(said) == len(right) == 200


@both
def test_a_program_tells_what_is_wrong_with_its_key(service_url: str, program: str) -> None:
    finished = run(at(service_url, program).replace('"KEY"', '"another"'))
    assert "the API key is not one that this service knows" in error_of(finished)


@both
def test_a_program_sends_an_image_again_to_a_busy_service(busy: Busy, program: str) -> None:
    said_by(at(busy.url, program))
    assert busy.asked.count(busy.asked[0]) > 1


@both
def test_a_program_gives_up_a_service_that_stays_busy(program: str) -> None:
    with small_service(lambda *_: problem(503, "more waits already than may", Retry_After="0")) as service:
        finished = run(at(service.url, program))
    assert error_of(finished).endswith("more waits already than may")
    assert 6 <= len(service.headers) < 200  # it does not go on to each of its images


# A page of another origin


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def give_the_bag(page: Page, example: str, server: PageServer, host: str = "127.0.0.1") -> None:
    """Open the example as that server's page, which is of its own name each time: browsers keep what they have."""
    name = f"{uuid4()}.html"
    (server.folder / name).write_text(example)
    page.goto(f"http://{host}:{server.port}/{name}")
    page.set_input_files("input", BAG)


@needs_chromium
def test_the_page_asks_beforehand_and_again_while_the_service_is_busy(
    page: Page, page_server: PageServer, busy: Busy
) -> None:
    give_the_bag(page, at(busy.url, IN_A_PAGE), page_server)
    expect(page.locator("p")).to_have_text(re.compile(SURE_OF_THE_BAG))
    asked = [method for method, _ in busy.asked]
    assert asked[0] == "OPTIONS"  # the key's header makes a preflight request
    assert asked.count("POST") == 2


@needs_chromium
def test_the_page_tells_why_an_image_is_refused(page: Page, page_server: PageServer, busy: Busy) -> None:
    give_the_bag(page, at(busy.url, IN_A_PAGE), page_server)
    expect(page.locator("input")).to_be_enabled()
    page.set_input_files("input", ROOT / "README.md")
    expect(page.locator("p")).to_have_text(json.loads(PROBLEM)["detail"])


@needs_chromium
def test_the_page_tells_what_is_wrong_with_its_key(page: Page, page_server: PageServer, busy: Busy) -> None:
    give_the_bag(page, at(busy.url, IN_A_PAGE).replace('"KEY"', '"another"'), page_server)
    expect(page.locator("p")).to_contain_text("the API key is not one that this service knows")


@needs_chromium
def test_the_page_of_an_origin_that_is_not_named_is_told_nothing(
    page: Page, page_server: PageServer, service_url: str
) -> None:
    give_the_bag(page, at(service_url, IN_A_PAGE), page_server, host="localhost")
    expect(page.locator("p")).to_have_text("Failed to fetch")
