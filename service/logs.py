"""How log lines look: uvicorn's loggers, with our own beside them. Knows no HTTP."""

import logging
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pythonjsonlogger.core import RESERVED_ATTRS

from models.printable import printable

LOGGER = "service"
# Lines about requests that are refused, which any client can bring about.
REFUSALS = "service.refusals"

LogFormat = Literal["text", "json"]

# Longer ones hold what a client or a file wrote.
MOST_CHARACTERS = 2000
# Of one of uvicorn's warnings, which any client can bring about.
MOST_A_MINUTE = 10

# The id of the request that is being answered; none between requests and on the inference thread.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)


class Refusal(NamedTuple):
    """Why a request is refused: a code for programs, and what its client is told."""

    code: str
    detail: str


# Why the request that is being answered is refused, once it is.
REFUSAL: ContextVar[Refusal | None] = ContextVar("refusal", default=None)


def log_answer(
    what: str, refusal: Refusal | None, *, access_log: bool, extra: dict[str, object], in_ms: float | None = None
) -> None:
    """Log a request that was answered: with `access_log` each one, and otherwise those that were refused, if not often.

    `what` was asked and became of it; `extra` is for lines in JSON.
    """
    text = what if in_ms is None else f"{what} in {in_ms:.1f} ms"
    if refusal:
        text = f"{text}: {refusal.code}: {refusal.detail}"
        extra = {**extra, "reason": refusal.code, "detail": refusal.detail[:MOST_CHARACTERS]}
    if access_log:
        logging.getLogger(LOGGER).info("%s", text, extra=extra)
    elif refusal:
        logging.getLogger(REFUSALS).warning("%s", text, extra=extra)


class WithRequestId(logging.Filter):
    """Gives each line the id of the request that it belongs to, as `request_id`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through."""
        record.request_id = REQUEST_ID.get()
        return True


class WithTime(logging.Filter):
    """Gives each line the time of this machine's zone with its offset from UTC (ISO 8601), as `time`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through."""
        record.time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        return True


class Shortened(logging.Filter):
    """Cuts lines that are too long to be of use."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through."""
        text = record.getMessage()
        if len(text) > MOST_CHARACTERS:
            record.msg, record.args = f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)", ()
        return True


class Printable(logging.Filter):
    """Lets nothing that a client or a file wrote begin a line of its own, or command a terminal."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through; those of a traceback are set in, so that only the log's own begin at the margin."""
        if "color_message" not in record.__dict__:  # uvicorn's own words, which it formats once more
            record.msg, record.args = printable(record.getMessage().rstrip("\n")), ()
        if record.exc_info and not record.exc_text:
            lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
            record.exc_text = "\n".join(f"  {printable(line)}" for line in lines)
        return True


class NotTooOften(logging.Filter):
    """Keeps those whose requests are refused, or are no HTTP, from filling the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """For all lines of one reason, from one place in the code, MOST_A_MINUTE together and how many were more."""
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether there were fewer of its kind in its minute. Of our own, and below a warning, none is left out."""
        if record.levelno < logging.WARNING or record.name == LOGGER:
            return True
        kind, now = (record.pathname, record.lineno, getattr(record, "reason", "")), self._clock()
        since, count = self._seen.get(kind, (now, 0))
        if now - since >= 60:
            if (more := count - MOST_A_MINUTE) > 0:
                record.msg, record.args = f"{record.getMessage().rstrip()} ({more:,} like it were not logged)", ()
            since, count = now, 0
        self._seen[kind] = (since, count + 1)
        return count < MOST_A_MINUTE


def logging_configuration(level: str, form: LogFormat = "text") -> dict[str, Any]:
    """What `logging.config.dictConfig` and uvicorn take: lines from `level` up, on stderr.

    As `json` each line is an object with time, level, logger, message and request_id. Of what libraries log only
    warnings and errors are among them.
    """
    text = {
        "()": "uvicorn.logging.DefaultFormatter",
        "fmt": "%(time)s %(levelprefix)s %(message)s",
        "use_colors": None,
    }
    as_json = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "format": "%(time)s %(levelname)s %(name)s %(message)s %(request_id)s",
        "rename_fields": {"levelname": "level", "name": "logger"},
        # uvicorn gives some of its lines once more, for terminals.
        "reserved_attrs": [*RESERVED_ATTRS, "color_message"],
    }
    logger = {"handlers": ["default"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "service.logs.WithRequestId"},
            "time": {"()": "service.logs.WithTime"},
            "shortened": {"()": "service.logs.Shortened"},
            "printable": {"()": "service.logs.Printable"},
            "not_too_often": {"()": "service.logs.NotTooOften"},
        },
        "formatters": {"default": as_json if form == "json" else text},
        "handlers": {
            "default": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "default",
                "filters": [
                    "not_too_often",
                    "request_id",
                    "time",
                    "shortened",
                    *(["printable"] if form == "text" else []),
                ],
            }
        },
        "loggers": {LOGGER: logger, "uvicorn": logger},
        "root": {"handlers": ["default"], "level": "WARNING"},
    }
