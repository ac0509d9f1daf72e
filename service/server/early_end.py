"""SIGTERM and SIGINT before a process serves: it ends at once and leaves nothing behind. Knows nothing of what starts.

uvicorn hears them once the model is loaded. Python hears them between two calls of C code, of which TensorFlow's can
take seconds.
"""

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# How long the main thread may take to clean up; in C code it does not even begin to.
_CLEANING_UP_S = 0.4


@contextmanager
def ending_at_signals(folder: Path | None = None) -> Iterator[None]:
    """While this lasts SIGTERM and SIGINT end the process within a second, with status 0. For the main thread.

    SystemExit is raised there, so that whatever is under way is cleaned up. If that does not come to an end in time the
    process ends without it, and `folder` is removed.
    """
    came, awaited = socket.socketpair()
    came.setblocking(False)
    ending = False

    def end(_signal: int, _frame: FrameType | None) -> None:
        nonlocal ending
        if not ending:  # a second one would break off the cleaning up
            ending = True
            sys.exit(0)

    handlers = {number: signal.signal(number, end) for number in ENDING_SIGNALS}
    before = signal.set_wakeup_fd(came.fileno(), warn_on_full_buffer=False)
    with suppress(AttributeError):  # Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
    threading.Thread(target=_end_late, args=(awaited, folder), daemon=True).start()
    try:
        yield
        if ending:  # and something on the way took SystemExit for an error of its own
            sys.exit(0)
    except BaseException:
        if ending:  # libraries in C make other errors of it
            sys.exit(0)
        raise
    finally:
        signal.set_wakeup_fd(before)
        if not ending:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        came.close()


def _end_late(awaited: socket.socket, folder: Path | None) -> None:
    """Until the other end is closed; the system writes the number of each signal there, whatever Python is at."""
    with awaited:
        while number := awaited.recv(1):
            if number[0] in ENDING_SIGNALS:
                time.sleep(_CLEANING_UP_S)
                if folder:
                    shutil.rmtree(folder, ignore_errors=True)
                os._exit(0)
