"""Leaves out of standard error what TensorFlow and LiteRT note there while they are loaded. Knows neither.

They write it from C++ before any setting of theirs counts, also where each line is to be JSON. A small process reads
standard error meanwhile and passes on all but these notes. It outlives whoever crashes, so that no error is lost.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import RLock

_STANDARD_ERROR = 2
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_ONLY = "2"
_LONGEST_END_S = 5

# As absl writes what is no error: "I0000 00:00:1795744391.025263    4655 port.cc:153] oneDNN custom operations are on."
_NOTE = re.compile(
    rb"[IW]\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] |WARNING: All log messages before absl::InitializeLog\(\) is called"
    rb"|To enable the following instructions: |INFO: (Created TensorFlow Lite|Initialized TensorFlow Lite)"
)

# Standard error is one for all threads, and so is what stands in its place.
_one_at_a_time = RLock()


@contextmanager
def library_notes_left_out() -> Iterator[None]:
    """While TensorFlow or LiteRT is imported or first used; their warnings in Python are left out from then on.

    Whoever wants to see them says TF_CPP_MIN_LOG_LEVEL=0.
    """
    if os.environ.setdefault(_LEVEL, _ERRORS_ONLY) < _ERRORS_ONLY:
        yield
        return
    # Keras calls .h5 a legacy format at every save, and TensorFlow advises on how often functions are made.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="keras")  # of how older versions named inputs
    with _one_at_a_time, ExitStack() as read:
        with suppress(OSError):  # no room for another process, or nobody who reads errors: then there are notes
            read.enter_context(_read_by_another_process())
        yield


@contextmanager
def _read_by_another_process() -> Iterator[None]:
    command = [sys.executable, "-I", "-S", "-X", "utf8", __file__]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=_STANDARD_ERROR)  # noqa: S603 - this file
    assert reader.stdin  # noqa: S101 - it is a pipe
    kept = os.dup(_STANDARD_ERROR)
    os.dup2(reader.stdin.fileno(), _STANDARD_ERROR)
    reader.stdin.close()
    try:
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)  # the reader comes to its end with that
        os.close(kept)
        with suppress(subprocess.TimeoutExpired):  # a process that another thread started has the same errors
            reader.wait(_LONGEST_END_S)


def _pass_on() -> None:
    """Everything but notes, from standard input."""
    for interrupting in (signal.SIGINT, signal.SIGTERM):  # which a terminal sends to all, and there may be more to read
        signal.signal(interrupting, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if not _NOTE.match(line):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    _pass_on()
