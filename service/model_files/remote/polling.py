"""Looks for another file at a model's source now and then, on a thread of its own. Knows no kind of source.

What it fetches is at the same path from then on: who watches that path loads it, as any file of this machine.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from models.card import ModelFileError
from service.errors import ServiceError
from service.logs import LOGGER
from service.model_files.remote.remote_model import RemoteModel

log = logging.getLogger(LOGGER)

# How many intervals pass at most between two looks at a source that fails.
MOST_BACKOFF = 32
_END_S = 1.0


@contextmanager
def polling(model: RemoteModel, interval_s: float) -> Iterator[None]:
    """Look each `interval_s` for as long as this lasts; less often while that fails."""
    thread = threading.Thread(target=_poll, args=(model, interval_s), name="polling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        model.ending.set()
        thread.join(_END_S)  # one that waits for its source ends with the process


def _poll(model: RemoteModel, interval_s: float) -> None:
    failing, factor = "", 1
    while not model.ending.wait(interval_s * factor):
        try:
            model.fetch()
        except Exception as error:  # whatever it is: what was fetched before goes on answering
            if model.ending.is_set():
                return
            known = isinstance(error, (ModelFileError, ServiceError))
            if str(error) != failing:
                log.warning("%s; what was fetched before goes on answering", error, exc_info=None if known else error)
            failing, factor = str(error) or type(error).__name__, min(2 * factor, MOST_BACKOFF)
            continue
        if failing:
            log.info("%s is there again", model.shown)
        failing, factor = "", 1
