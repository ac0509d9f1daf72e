"""A model at an https or http address. Knows no other kind of source.

Redirects are followed to https anywhere, where the certificate tells who answers, and else only within one origin;
credentials are for the origin that was named.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import httpx

from service.model_address import file_name_of, shown
from service.model_files.remote.source import (
    CONNECT_S,
    READ_S,
    SourceUnavailable,
    Write,
    asking,
    check_size,
)

MOST_REDIRECTS = 5
# What some servers answer with, as if all were well, where there is no such file.
_WEB_PAGE = "text/html"
# httpx logs whole addresses, with what signs them.
logging.getLogger("httpx").setLevel(logging.WARNING)


class HttpsSource:
    """See `RemoteSource`. A revision is an ETag, or else a Last-Modified."""

    def __init__(self, address: str, headers: Mapping[str, str] | None = None) -> None:
        """`headers` go to the origin of `address` only."""
        self.shown, self.file_name = shown(address), file_name_of(address)
        self._address, self._headers = httpx.URL(address), dict(headers or {})
        self._secrets = (self._address.query.decode(), self._address.password, self._address.userinfo.decode())

    def fetch(self, known: str | None, write: Write, max_bytes: int) -> str | None:
        """See `RemoteSource`; `known` makes it a conditional request."""
        condition = {}
        if known:
            condition = {"If-None-Match" if known.endswith('"') else "If-Modified-Since": known}
        with asking(self.shown, *self._secrets), self._answer(self._address, condition) as answer:
            if known and answer.status_code == HTTPStatus.NOT_MODIFIED:
                return None
            self._check(answer)
            revision = answer.headers.get("etag") or answer.headers.get("last-modified") or ""
            if known and revision == known:  # not every server knows conditions
                return None
            self._give(answer, write, max_bytes)
            return revision

    def beside(self, name: str, max_bytes: int) -> bytes | None:
        """See `RemoteSource`. What signs the address of the model signs no other."""
        address = self._address.join(httpx.URL(path=name).raw_path.decode())
        address = address.copy_with(username=self._address.username, password=self._address.password, query=None)
        found = bytearray()
        with asking(shown(str(address)), *self._secrets), self._answer(address, {}) as answer:
            if answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN):
                return None
            self._check(answer)
            if answer.headers.get("content-type", "").lower().startswith(_WEB_PAGE):
                return None
            self._give(answer, lambda pieces: _gather(pieces, found, max_bytes), max_bytes)
        return bytes(found)

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code != HTTPStatus.OK:
            reason = f"{answer.status_code} {answer.reason_phrase}".strip()
            raise SourceUnavailable(f"{self.shown} cannot be fetched: its server answers {reason:.60}; see the address")

    def _give(self, answer: httpx.Response, write: Write, max_bytes: int) -> None:
        packed = answer.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("identity", "gzip"):  # one in another unpacks a few bytes to more than there is memory
            raise SourceUnavailable(
                f"{self.shown} comes as {packed:.40}, which is not unpacked; serve the file as it is"
            )
        length = answer.headers.get("content-length", "")
        check_size(int(length) if length.isdigit() else None, max_bytes, self.shown)
        write(answer.iter_bytes())  # as it comes: whoever sends a byte now and then is noticed

    @contextmanager
    def _answer(self, address: httpx.URL, condition: Mapping[str, str]) -> Iterator[httpx.Response]:
        """The answer at the end of all redirects."""
        plain = {"Accept-Encoding": "identity", **condition}
        with httpx.Client(timeout=httpx.Timeout(READ_S, connect=CONNECT_S), follow_redirects=False) as client:
            for _ in range(MOST_REDIRECTS + 1):
                own = self._headers if _origin(address) == _origin(self._address) else {}
                with client.stream("GET", address, headers={**plain, **own}) as answer:
                    if not answer.has_redirect_location:
                        yield answer
                        return
                    address = self._redirected(address, answer.headers["location"])
        raise SourceUnavailable(f"{self.shown} cannot be fetched: it redirects more than {MOST_REDIRECTS} times")

    def _redirected(self, address: httpx.URL, location: str) -> httpx.URL:
        to = address.join(location)
        same = _origin(to) == _origin(address)
        if to.scheme != "https" and not same:
            raise SourceUnavailable(
                f"{self.shown} redirects to {shown(str(to))}, which is not followed: only https is, or the same origin"
            )
        ours = _origin(to) == _origin(self._address)
        return to.copy_with(userinfo=self._address.userinfo if ours else b"")


def _origin(address: httpx.URL) -> tuple[str, str, int | None]:
    return address.scheme, address.host, address.port


def _gather(pieces: Iterable[bytes], found: bytearray, max_bytes: int) -> None:
    for piece in pieces:
        found += piece
        check_size(len(found), max_bytes, "a file beside the model")
