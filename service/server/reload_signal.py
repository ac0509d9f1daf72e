"""SIGHUP, by which a new model is announced: kept while nobody is there to hear it, and told then.

A process that has no handler yet would be ended by it. Where there is no such signal, as on Windows, nothing is done.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_came_early: list[int] = []


def keep_sighup() -> None:
    """From now on keep it in mind, instead of being ended by it. To be called on the main thread."""
    with suppress(AttributeError):
        signal.signal(signal.SIGHUP, lambda number, _: _came_early.append(number))


@contextmanager
def sighup_held() -> Iterator[None]:
    """Hold it back for as long as this lasts; processes that are started meanwhile hold it until `on_sighup`.

    SIGINT too, which a terminal sends to all of them at once: they hold it until they can end in order.
    """
    with suppress(AttributeError):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGINT})
    try:
        yield
    finally:
        with suppress(AttributeError):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGINT})


def on_sighup(call: Callable[[], object]) -> None:
    """Call `call` on the running event loop at each SIGHUP, and now if one came before."""
    # Not where the event loop runs beside the main thread.
    with suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, call)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        if _came_early:
            call()
