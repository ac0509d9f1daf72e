"""A web server on this machine that gives what a test tells it to: files with ETags, errors, halves, redirects."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Path = str


class WebServer:
    """What it has by path, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.files: dict[Path, bytes] = {}
        self.statuses: dict[Path, int] = {}
        """Answered in place of a file."""
        self.redirects: dict[Path, str] = {}
        self.headers: dict[Path, dict[str, str]] = {}
        """More of them, for what is there."""
        self.cut_short: set[Path] = set()
        """Of these half is sent."""
        self.without_etag = False
        self.asked: list[tuple[Path, int, dict[str, str]]] = []
        """Path, status and headers of each request, in small letters."""
        self.any_asked = threading.Condition()

    def wait_for(self, path: Path, status: int, times: int = 1) -> None:
        """Until so many more requests for `path` got that status."""
        with self.any_asked:
            before = self._count(path, status)
            assert self.any_asked.wait_for(lambda: self._count(path, status) >= before + times, 60)

    def _count(self, path: Path, status: int) -> int:
        return sum((asked, given) == (path, status) for asked, given, _ in self.asked)


@contextmanager
def web_server() -> Iterator[WebServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            status, content, headers = self._found(path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(content)))
            with served.any_asked:  # before the answer, after which a test may already look
                asked = {name.lower(): value for name, value in self.headers.items()}
                served.asked.append((self.path, status, asked))
                served.any_asked.notify_all()
            self.end_headers()
            if body and status != 304:
                half = path in served.cut_short
                self.wfile.write(content[: len(content) // 2] if half else content)
                self.close_connection = half

        def _found(self, path: str) -> tuple[int, bytes, dict[str, str]]:
            if path in served.redirects:
                return 302, b"", {"Location": served.redirects[path]}
            if path in served.statuses:
                return served.statuses[path], b"<html>an error</html>", {}
            if path not in served.files:
                return 404, b"<html>nothing</html>", {}
            content = served.files[path]
            headers = dict(served.headers.get(path, {}))
            if not served.without_etag:
                headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
                if self.headers.get("If-None-Match") == headers["ETag"]:
                    return 304, b"", headers
            return 200, content, headers

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = WebServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
