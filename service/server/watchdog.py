"""Ends a process that stands still, so that another one takes its place. Knows neither HTTP nor Keras."""

import asyncio
import faulthandler
import logging
import os
import sys
from collections.abc import Callable

from service.logs import LOGGER

log = logging.getLogger(LOGGER)

_STATUS = 1
_LOOKS = 10


async def watch_for_stalls(limit_s: float, inference_busy_s: Callable[[], float]) -> None:
    """Until cancelled: end the process with status 1 where the event loop or the model stands still for `limit_s`.

    `inference_busy_s` says for how many seconds an inference thread has been at one call. Where each thread stood is
    written to the standard error stream before. The event loop is watched by a thread of C code, which needs Python for
    nothing: it notices a thread that never gives the interpreter's lock away, too.
    """
    try:
        while True:
            if (busy_s := inference_busy_s()) > limit_s:
                log.critical("the model has been at one call for %.0f s; this process ends, to be replaced", busy_s)
                faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)
                os._exit(_STATUS)
            # Begins the clock anew. It runs out where the event loop does not come back here.
            faulthandler.dump_traceback_later(limit_s, exit=True, file=sys.__stderr__ or sys.stderr)
            await asyncio.sleep(limit_s / _LOOKS)
    finally:
        faulthandler.cancel_dump_traceback_later()
