"""The answer to what does not reach the application: a request that is no HTTP, too long, or one too many.

Knows no call. The application answers everything else itself, with problem documents of the same form.
"""

import json
import secrets
from collections.abc import Iterable
from http import HTTPStatus

from service.logs import REQUEST_ID, Refusal, log_answer
from service.metrics import REJECTED, REQUESTS

# What the middleware calls all paths that nobody declared; of these requests none is known.
_ROUTE = "other"


class RequestRefused(Exception):
    """A request, or what was to be one, that the application is not asked to answer."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, *, retry_after_s: int | None = None) -> None:
        """`code` names the reason in the metrics; `detail` says what arrived, what was expected and what to do."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    def response(self, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> bytes:
        """The whole answer, a problem document (RFC 9457) with `headers` besides its own; the connection ends then."""
        problem = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": str(self),
        }
        body = json.dumps(problem, separators=(",", ":")).encode()
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}".encode()]
        lines += [b"%s: %s" % header for header in headers]
        lines += [
            b"content-type: application/problem+json",
            b"content-length: %d" % len(body),
            b"x-request-id: " + request_id.encode(),
            b"x-content-type-options: nosniff",
            b"connection: close",
        ]
        if self.retry_after_s is not None:
            lines.append(b"retry-after: %d" % self.retry_after_s)
        return b"\r\n".join([*lines, b"", body])

    def count(self, request_id: str, *, access_log: bool) -> None:
        """Have it in the metrics, and in the log, as if the application had answered."""
        REQUESTS.labels(_ROUTE, self.status.value).inc()
        REJECTED.labels(self.code).inc()
        token = REQUEST_ID.set(request_id)
        log_answer(
            f"a request was refused unread: {self.status}",
            Refusal(self.code, str(self)),
            access_log=access_log,
            extra={"status": self.status.value},
        )
        REQUEST_ID.reset(token)


def new_request_id() -> str:
    """An id for a request whose own cannot be read."""
    return secrets.token_hex(16)
