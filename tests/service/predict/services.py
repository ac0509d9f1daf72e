"""A small HTTP service of which a test says what it answers, and which remembers what it was asked."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

PROBLEM = {"Content-Type": "application/problem+json"}


class Reply(NamedTuple):
    status: int
    content: Mapping[str, Any]
    headers: Mapping[str, str] = {}


def answer(version: str = "0123456789ab", label: str = "cat") -> Reply:
    first = {"label": label, "index": 0, "probability": 0.75}
    model = {"name": "small", "version": version}
    return Reply(200, {**first, "familiarity": None, "probabilities": [first], "model": model})


def problem(status: int, detail: str, **headers: str) -> Reply:
    return Reply(status, {"title": "", "status": status, "detail": detail}, {**PROBLEM, **headers})


class SmallService:
    """`reply` is given the picture and how often it was asked for before; None drops the connection."""

    def __init__(self, reply: Callable[[bytes, int], Reply | None]) -> None:
        self.asked: Counter[bytes] = Counter()
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.reply = reply
        self.lock = threading.Lock()


@contextmanager
def small_service(reply: Callable[[bytes, int], Reply | None]) -> Iterator[SmallService]:
    service = SmallService(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._send(Reply(200, {"status": "live"}))

        def do_POST(self) -> None:
            picture = self.rfile.read(int(self.headers["Content-Length"]))
            with service.lock:
                before = service.asked[picture]
                service.asked[picture] += 1
                service.headers.append(dict(self.headers))
            reply = service.reply(picture, before)
            if reply is None:
                self.close_connection = True
            else:
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            content = json.dumps(reply.content).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
