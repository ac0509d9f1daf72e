"""What a request may say before and around its body, and what is no HTTP. Against real uvicorn."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.attacks import heads
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ANKLE_BOOT

IMAGE = ANKLE_BOOT.read_bytes()
MB = 1 << 20


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(*FAKE_ENGINE) as service:
        yield service


def sent(service: Service, *pieces: bytes) -> bytes:
    """All that comes back until the other side closes, of pieces that are sent one after the other."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while received := connection.recv(1 << 16):
                answer += received
        except ConnectionError:
            pass  # it was closed while we still sent
        return answer


def request(*lines: str, target: str = "/health/live", method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "Connection: close", "", "")).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def problem_of(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem: dict[str, object] = json.loads(body)
    assert problem["status"] == status_of(answer)
    return problem


@pytest.mark.parametrize("attack", heads.ALL, ids=lambda attack: attack.__name__)
def test_what_goes_on_without_end_is_cut_off_and_costs_no_memory(service: Service, attack) -> None:
    process = psutil.Process(service.process.pid)
    before = process.memory_info().rss
    answer = sent(service, attack(2 * MB))
    if answer:  # a reset may come before it
        assert status_of(answer) in (200, 414, 431)  # what comes behind a whole request no longer matters to it
    assert process.memory_info().rss - before < 2 * MB
    assert httpx.get(f"{service.url}/health/live").status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (request("Host: x", f"X-Long: {'v' * 30_000}"), 200),
        (request("Host: x", f"X-Long: {'v' * 33_000}"), 431),
        (request("Host: x", *["A: b"] * 98), 200),
        (request("Host: x", *["A: b"] * 99), 431),
        (request("Host: x", target=f"/health/live?{'a' * 8_000}"), 200),
        (request("Host: x", target=f"/health/live?{'a' * 8_200}"), 414),
        (request("Host: x", target=f"/health/live?{'a' * 100_000}"), 414),
    ],
    ids=["30 kB", "33 kB", "100 headers", "101 headers", "8 kB address", "over 8 kB address", "100 kB address"],
)
@pytest.mark.parametrize("size", [1 << 20, 1000], ids=["at once", "in pieces"])
def test_heads_have_limits(service: Service, given: bytes, status: int, size: int) -> None:
    answer = sent(service, *(given[start : start + size] for start in range(0, len(given), size)))
    assert status_of(answer) == status
    if status != 200:
        assert "are read" in str(problem_of(answer)["detail"])


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 400),
        (("Host: a", "Host: a"), 400),
        (("Host: a b",), 400),
        (("Host: a/b",), 400),
        (("Host: a@b",), 400),
        (("Host:",), 200),
        (("Host: example.org:80",), 200),
        (("Host: [::1]:8000",), 200),
        (("Host: a_b.local",), 200),
    ],
)
def test_there_is_one_valid_host(service: Service, lines: tuple[str, ...], status: int) -> None:
    answer = sent(service, request(*lines))
    assert status_of(answer) == status
    if status == 400:
        assert "Host header" in str(problem_of(answer)["detail"])


def test_http_1_0_needs_no_host(service: Service) -> None:
    assert status_of(sent(service, b"GET /health/live HTTP/1.0\r\n\r\n")) == 200
    assert status_of(sent(service, b"GET /health/live HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")) == 400


# Shapes by which one program takes for two requests what another takes for one (RFC 9112, section 11.2).
@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 1", "Transfer-Encoding: chunked"),
        ("Content-Length: 1", "Content-Length: 2"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Content-Length: -1",),
        ("Content-Length: 1e2",),
        (f"Content-Length: 1{'0' * 30}",),
        ("Name : value",),
        ("Folded: a\r\n b",),
        ("Nul: a\0b",),
        ("Bare: a\rb",),
        ("no colon",),
        ("(bad): name",),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(service: Service, lines: tuple[str, ...]) -> None:
    answer = sent(service, request("Host: x", *lines, target="/predict", method="POST") + b"1\r\na\r\n0\r\n\r\n")
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 400 ") == 1


def test_what_is_no_http_is_told_so_once(service: Service) -> None:
    answer = sent(service, b"\x16\x03\x01 hello\r\n\r\n")
    assert "no HTTP/1.1 request" in str(problem_of(answer)["detail"])


def test_chunks_of_one_byte_are_read(service: Service) -> None:
    head = request("Host: x", "Content-Type: image/png", "Transfer-Encoding: chunked", target="/predict", method="POST")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in IMAGE)
    assert status_of(sent(service, head + chunks + b"0\r\nTrailer: let go\r\n\r\n")) == 200


def test_what_was_asked_before_on_the_connection_is_answered(service: Service) -> None:
    whole = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = sent(service, whole + request("Host: x", f"X-Long: {'v' * 40_000}"))
    assert status_of(answer) == 200
    assert b"connection: close" in answer or b" 431 " in answer


def test_thousands_of_requests_at_once_are_answered_in_turn(service: Service) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = sent(service, one * 2_000 + request("Host: x"))
    assert answer.count(b"HTTP/1.1 200 ") == 2_001


def test_a_request_to_speak_another_protocol_is_answered_as_http(service: Service) -> None:
    for protocol in ("websocket", "h2c"):
        lines = ("Host: x", f"Upgrade: {protocol}", "Connection: Upgrade, close")
        assert status_of(sent(service, "\r\n".join(("GET /health/live HTTP/1.1", *lines, "", "")).encode())) == 200
    assert "Unsupported upgrade" not in service.rest_of_log


def test_refusals_are_counted(service: Service) -> None:
    sent(service, request("Host: x", f"X-Long: {'v' * 40_000}"))
    sent(service, request("Host: x", target=f"/{'a' * 9_000}"))
    metrics = httpx.get(f"{service.url}/metrics").text
    for reason in ("head_too_large", "uri_too_long", "malformed_request"):
        assert f'keras_service_rejected_total{{reason="{reason}"}}' in metrics
