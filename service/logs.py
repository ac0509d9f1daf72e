"""How log lines look: uvicorn's loggers, with our own beside them. Knows no HTTP."""

import logging
from contextvars import ContextVar
from typing import Any, Literal

LOGGER = "service"

LogFormat = Literal["text", "json"]

# The id of the request that is being answered; none between requests and on the inference thread.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)


class WithRequestId(logging.Filter):
    """Gives each line the id of the request that it belongs to, as `request_id`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through."""
        record.request_id = REQUEST_ID.get()
        return True


def logging_configuration(level: str, form: LogFormat = "text") -> dict[str, Any]:
    """What `logging.config.dictConfig` and uvicorn take: lines from `level` up, on stderr.

    As `json` each line is an object with time, level, logger, message and request_id.
    """
    text = {"()": "uvicorn.logging.DefaultFormatter", "fmt": "%(levelprefix)s %(message)s", "use_colors": None}
    as_json = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "format": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
        "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
    }
    logger = {"handlers": ["default"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "service.logs.WithRequestId"}},
        "formatters": {"default": as_json if form == "json" else text},
        "handlers": {
            "default": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "default",
                "filters": ["request_id"],
            }
        },
        "loggers": {LOGGER: logger, "uvicorn": logger},
    }
