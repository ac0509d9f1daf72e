"""A head or framing without an end, and what can be read in two ways: refused at once. Against real uvicorn."""

import asyncio
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.server.request_limits import MOST_HEAD_BYTES, MOST_HEADERS, MOST_URL_BYTES
from tests.attacks import connections as attacks
from tests.connections import as_request, by_class, connect, read_answer
from tests.processes import FAKE_ENGINE, Service, running_service
from tests.samples import ANKLE_BOOT
from tests.service.server.serving import serving

IMAGE = ANKLE_BOOT.read_bytes()
HEALTH = as_request(path="/health/live", method="GET")
SIZE = 1_000_000
END = b"\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service("--access-log", *FAKE_ENGINE) as service:
        yield service


def answer_to(service: Service, request: bytes) -> bytes:
    """All that comes back until the service closes the connection, which the caller does not."""
    address = urlsplit(service.url)
    with closing(socket.create_connection((address.hostname, address.port), timeout=20)) as caller:
        caller.sendall(request)
        return b"".join(iter(lambda: caller.recv(65536), b""))


def problem_in(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(END)
    lines = head.decode().lower().split("\r\n")
    assert {"content-type: application/problem+json", "connection: close"} <= set(lines)
    assert any(line.startswith("x-request-id: ") for line in lines)
    problem = json.loads(body)
    assert lines[0].startswith(f"http/1.1 {problem['status']} ")
    return problem


@pytest.mark.parametrize(
    ("attack", "status"),
    [
        (attacks.long_header, 431),
        (attacks.many_headers, 431),
        (attacks.long_url, 414),
        (attacks.many_empty_lines, 431),
        (attacks.chunk_extensions, 431),
        (attacks.chunks_with_extensions, 431),
        (attacks.long_trailer, 431),
        (attacks.many_trailers, 431),
        (attacks.trailer_behind_a_long_body, 431),
    ],
)
def test_what_has_no_end_is_refused(service: Service, attack: Callable[[int], bytes], status: int) -> None:
    problem = problem_in(answer_to(service, attack(SIZE)))
    assert problem["status"] == status
    assert "that are read; send " in problem["detail"]


def test_a_head_has_a_largest_size(service: Service) -> None:
    rest = len(HEALTH) + len("X: \r\nConnection: close\r\n")
    longest = HEALTH[:-2] + b"Connection: close\r\nX: " + b"x" * (MOST_HEAD_BYTES - rest) + END
    assert len(longest) == MOST_HEAD_BYTES
    assert answer_to(service, longest).startswith(b"HTTP/1.1 200 ")
    assert problem_in(answer_to(service, longest.replace(b"X: ", b"XX: ")))["status"] == 431


def test_a_url_has_a_largest_size(service: Service) -> None:
    path = "/health/live?" + "x" * (MOST_URL_BYTES - len("/health/live?"))
    assert httpx.get(service.url + path).status_code == 200
    assert httpx.get(service.url + path + "x").status_code == 414


def test_a_head_has_a_largest_number_of_headers(service: Service) -> None:
    most = {f"x-{number}": "x" for number in range(MOST_HEADERS - 5)}
    # The client has five of its own: Host, Accept, Accept-Encoding, Connection, User-Agent.
    assert httpx.get(f"{service.url}/health/live", headers=most).status_code == 200
    assert httpx.get(f"{service.url}/health/live", headers=most | {"x": "x"}).status_code == 431


def test_what_is_refused_is_counted_and_logged(service: Service) -> None:
    def counted() -> float:
        lines = httpx.get(f"{service.url}/metrics").text.splitlines()
        found = [line for line in lines if line.startswith('keras_service_rejected_total{reason="head_too_large"}')]
        return float(found[0].split()[1]) if found else 0

    before = counted()
    answer_to(service, attacks.many_headers(SIZE))
    assert counted() == before + 1
    assert "a request was refused unread: 431: head_too_large: the request's head" in service.rest_of_log


@pytest.mark.parametrize("name", attacks.UNCLEAR)
def test_what_can_be_read_in_two_ways_is_refused(service: Service, name: str) -> None:
    problem = problem_in(answer_to(service, attacks.UNCLEAR[name]))
    assert (problem["status"], problem["title"]) == (400, "Bad Request")
    assert "the request is not HTTP/1.1 as it is read here: " in problem["detail"]


@pytest.mark.parametrize("host", ["x", "x:8000", "127.0.0.1:8000", "[::1]:8000", "my_service", "a.b-c.example:", ""])
def test_a_host_may_be(service: Service, host: str) -> None:
    assert httpx.get(f"{service.url}/health/live", headers={"Host": host}).status_code == 200


def test_http_1_0_needs_no_host(service: Service) -> None:
    assert answer_to(service, b"GET /health/live HTTP/1.0" + END).startswith(b"HTTP/1.1 200 ")


def test_a_refusal_waits_for_the_answers_before_it(service: Service) -> None:
    """Else the client would take it for the answer to the first request."""
    answers = answer_to(service, as_request(IMAGE) * 3 + attacks.UNCLEAR["two Hosts"])
    assert STATUS.findall(answers) == [b"200", b"200", b"200", b"400"]


def test_so_does_that_of_a_body(service: Service) -> None:
    answers = answer_to(service, as_request(IMAGE) + attacks.UNCLEAR["a negative chunk size"])
    assert STATUS.findall(answers) == [b"200", b"400"]


def expected(service: Service) -> list[float]:
    return by_class(httpx.post(f"{service.url}/predict", content=IMAGE, headers={"Content-Type": "image/png"}).json())


def predicted(service: Service, *pieces: bytes) -> list[float]:
    async def run() -> list[float]:
        reader, writer = await connect(service)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        answer = await read_answer(reader)
        writer.close()
        assert answer.status == 200, answer
        return by_class(answer.body)

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_may_come_in_any_pieces(service: Service, size: int) -> None:
    request = as_request(IMAGE)
    pieces = [request[start : start + size] for start in range(0, len(request), size)]
    assert predicted(service, *pieces) == expected(service)


def test_a_body_may_come_in_chunks_of_one_byte(service: Service) -> None:
    assert predicted(service, attacks.chunks_of_one_byte(IMAGE)) == expected(service)


def test_a_large_body_is_within_the_limits(service: Service) -> None:
    answer = httpx.post(f"{service.url}/predict", content=bytes(9_000_000), headers={"Content-Type": "image/png"})
    assert answer.status_code == 415  # read to its end


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_a_wish_for_another_protocol_is_left_alone(service: Service, protocol: str) -> None:
    """Java's own client has it in each request; its body is read as that of any other."""
    wish = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    last = as_request(IMAGE, extra="Connection: close\r\n")
    answers = answer_to(service, as_request(IMAGE, extra=wish) * 2 + last)
    assert answers.count(b"HTTP/1.1 200 ") == 3


async def read_and_say_ok(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_requests_that_nobody_waited_for_are_parsed_a_few_at_a_time() -> None:
    count = 3000

    async def run() -> int:
        async with serving(read_and_say_ok) as here:
            reader, writer = await here.connect()
            writer.write(attacks.pipelined(count))
            most = 0
            for _ in range(count):
                assert (await read_answer(reader)).status == 200
                most = max(most, len(here.protocols[0].pipeline))
            return most

    assert 0 < asyncio.run(run()) < 200


def test_what_follows_a_body_joins_no_headers() -> None:
    async def run() -> list[tuple[bytes, bytes]]:
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await read_and_say_ok(scope, receive, send)
            seen.extend(scope["headers"])

        async with serving(app) as here:
            reader, writer = await here.connect()
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked" + END
            writer.write(head + b"1\r\nx\r\n0\r\nX-API-Key: y" + END)
            assert (await read_answer(reader)).content == b"ok"
        return seen

    assert asyncio.run(run()) == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]


def test_empty_lines_keep_no_connection_open() -> None:
    async def run() -> bytes:
        async with serving(read_and_say_ok, timeout_keep_alive=0.2) as here:
            reader, writer = await here.connect()
            writer.write(HEALTH)
            assert (await read_answer(reader)).content == b"ok"
            writer.write(b"\r\n")
            return await asyncio.wait_for(reader.read(), 10)

    assert asyncio.run(run()) == b""
