"""Says in the log what is known of a model, and from where. Knows no engine."""

import logging

from service.engines.base import Engine
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

_OR_TRY = ", or try it with cnn-check"
_NOT_PILLOWS = "; the bilinear of Keras's load_img is antialias here, and its default is nearest"


def log_findings(engine: Engine) -> None:
    """Say of each thing that is known of the model where that comes from, and warn of what is guessed."""
    for finding in engine.findings:
        level = logging.WARNING if finding.guessed else logging.INFO
        source = finding.source
        if finding.guessed:
            source += f"; a guess: say it with {finding.option}{_OR_TRY * finding.told_by_pictures}"
            if (finding.field, finding.value) == ("interpolation", "bilinear"):
                source += _NOT_PILLOWS
        log.log(level, "%s: %s is %s (%s)", engine.card.name, finding.field, finding.value, source)
