"""Who may call: API keys, known by their SHA-256 alone. Knows no HTTP."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress

from service.errors import Unauthorized

_ADVICE = "send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`"

_BEARER = b"bearer "


class ApiKeys:
    """The keys that open the service."""

    def __init__(self, digests: Sequence[str], spend: Callable[[str], None] | None = None) -> None:
        """`digests` are the SHA-256 of the keys in hex, in lower case.

        `spend` is told that of each request's key, and raises TooManyRequests where it has no allowance left.
        """
        self._digests = [digest.encode() for digest in digests]
        self._spend = spend

    def admit(self, key: str | None) -> None:
        """Let one request with `key` through. Raises Unauthorized or TooManyRequests."""
        if not key:
            raise Unauthorized(f"this service needs an API key; {_ADVICE}")
        given = hashlib.sha256(key.encode()).hexdigest()
        # All are compared, each in constant time, so that the time tells nothing of a key.
        matches = [hmac.compare_digest(given.encode(), digest) for digest in self._digests]
        if not any(matches):
            raise Unauthorized(f"the API key is not one that this service knows; {_ADVICE}")
        if self._spend:
            self._spend(given)


def key_in(api_key: bytes | None, authorization: bytes | None) -> str | None:
    """The key in the headers `X-API-Key` and `Authorization` of a request, as far as it has them."""
    given = api_key
    if given is None and authorization and authorization.lower().startswith(_BEARER):
        given = authorization[len(_BEARER) :].strip()
    with suppress(UnicodeDecodeError):
        return given.decode() if given else None
    return None
