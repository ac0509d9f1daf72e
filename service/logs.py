"""How log lines look: uvicorn's configuration, with our own logger beside its loggers."""

from copy import deepcopy
from typing import Any

from uvicorn.config import LOGGING_CONFIG

LOGGER = "service"


def logging_configuration(level: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` and uvicorn take: lines from `level` up, on stderr."""
    configuration = deepcopy(LOGGING_CONFIG)
    configuration["loggers"][LOGGER] = {"handlers": ["default"], "level": level.upper(), "propagate": False}
    return configuration
