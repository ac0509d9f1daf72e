"""How log lines look: uvicorn's configuration, with our own logger beside its loggers."""

import logging
from contextvars import ContextVar
from copy import deepcopy
from typing import Any, Literal

from uvicorn.config import LOGGING_CONFIG

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
    configuration = deepcopy(LOGGING_CONFIG)
    configuration["loggers"][LOGGER] = {"handlers": ["default"], "level": level.upper(), "propagate": False}
    configuration["filters"] = {"request_id": {"()": "service.logs.WithRequestId"}}
    for handler in configuration["handlers"].values():
        handler["filters"] = ["request_id"]
    if form == "json":
        configuration["formatters"]["default"] = {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        }
    return configuration
