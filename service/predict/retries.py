"""When a request is sent again, and when that is given up. Knows no picture and no answer.

Libraries that retry count the attempts of one request. Here all requests share what is known of the service: while it
asks one of them to wait, none is sent, and as long as it answers any of them it is not given up.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from service.predict.errors import Stopped

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0


class Retries:
    """What all requests to one service know of it."""

    def __init__(
        self,
        give_up_after_s: float,
        tell: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tell` is given a line when the service begins to make us wait."""
        self._give_up_after_s = give_up_after_s
        self._tell, self._sleep, self._clock = tell, sleep, clock
        self._answered = clock()
        self._ever = False
        self._held_until = -math.inf
        self._waiting = False

    async def ready(self) -> None:
        """Until the service does not ask to wait any longer."""
        while (left := self._held_until - self._clock()) > 0:
            await self._sleep(left)

    def answered(self) -> None:
        """The service has answered a request."""
        self._answered = self._clock()
        self._ever = True
        self._waiting = False

    async def wait(self, attempt: int, reason: str, retry_after: str | None) -> None:
        """Until it is worth sending a request again that failed for `reason`; `attempt` is 0 for its first failure.

        Raises Stopped where that is too late.
        """
        asked = seconds_of(retry_after) if retry_after else None
        # Not all at the same moment.
        own = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(attempt, 10)) * random.uniform(0.5, 1)  # noqa: S311
        seconds = own if asked is None else asked
        now = self._clock()
        if now + seconds - self._answered > self._give_up_after_s:
            said = f", and asks to wait {asked:,.0f} s" if asked else ""
            told = "has answered nothing" if self._ever else "was asked and has never answered,"
            raise Stopped(
                f"the service {told} for {now - self._answered:,.0f} s{said} ({reason}), and the next attempt would be "
                f"later than --give-up-after-s {self._give_up_after_s:g} allows"
            )
        if not self._waiting:
            self._waiting = True
            self._tell(
                f"the service does not answer at present ({reason}); requests are sent again for up to "
                f"{self._give_up_after_s:g} s (--give-up-after-s)"
            )
        if asked is not None:
            self._held_until = max(self._held_until, now + asked)
        await self._sleep(seconds)


def seconds_of(retry_after: str) -> float | None:
    """What the header `Retry-After` says, a number or a date (RFC 9110, 10.2.3); None for anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:10])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
