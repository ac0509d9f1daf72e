"""The id of a request: the client's own, where it can be one, or a new one. Knows no transport."""

import itertools
import re
import secrets

_ID = re.compile(rb"[\w.:/+=-]{1,128}")


class RequestIds:
    """New ids are this process's own prefix and a number: unique, and made in no time."""

    def __init__(self) -> None:
        self._prefix, self._numbers = secrets.token_hex(8).encode(), itertools.count()

    def of(self, given: bytes | None) -> bytes:
        """`given`, unless there is none or it is no id."""
        return given if given and _ID.fullmatch(given) else b"%s%016x" % (self._prefix, next(self._numbers))
