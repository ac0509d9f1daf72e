"""Who may call: API keys, known by their SHA-256 alone, and how often each may. Knows no HTTP."""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

from service.errors import TooManyRequests, Unauthorized

_ADVICE = "send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`"


class ApiKeys:
    """The keys that open the service, each with its own allowance."""

    def __init__(self, digests: Sequence[str], per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`digests` are the SHA-256 of the keys in hex. A key has `per_minute` requests, or any number with 0.

        What was not used of a minute's allowance can be used at once; more than that is not saved.
        """
        self._digests = [digest.lower().encode() for digest in digests]
        self._per_second = per_minute / 60
        self._most = float(per_minute)
        self._clock = clock
        self._allowances = {digest: (self._most, clock()) for digest in self._digests}

    def admit(self, key: str | None) -> None:
        """Let one request with `key` through. Raises Unauthorized or TooManyRequests."""
        if not key:
            raise Unauthorized(f"this service needs an API key; {_ADVICE}")
        given = hashlib.sha256(key.encode()).hexdigest().encode()
        # All are compared, each in constant time, so that the time tells nothing of a key.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise Unauthorized(f"the API key is not one that this service knows; {_ADVICE}")
        if self._per_second:
            self._spend(given)

    def _spend(self, digest: bytes) -> None:
        left, before = self._allowances[digest]
        now = self._clock()
        left = min(self._most, left + (now - before) * self._per_second)
        if left < 1:
            self._allowances[digest] = (left, now)
            raise TooManyRequests(self._most, (1 - left) / self._per_second)
        self._allowances[digest] = (left - 1, now)
