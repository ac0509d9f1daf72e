"""Faults that no real service has. Python runs this first in each process that has its folder on its path.

Only where PLANTED names one, and only once SIGUSR1 comes: by then everything that a fault changes is imported.
"""

import os
import signal
import sys
import time

_kept = []


def _loop() -> None:
    """The event loop stands still: the signal's handler runs on its thread."""
    time.sleep(120)


def _model() -> None:
    """The model's next call does not come back."""

    def infer(*_: object) -> None:
        time.sleep(120)

    sys.modules["service.engines.light.engine"].LightEngine.infer = infer


def _leak() -> None:
    """Each request leaves so many bytes behind."""
    middleware = sys.modules["service.http.middleware"].RequestMiddleware
    call, size = middleware.__call__, int(os.environ["PLANTED_BYTES"])

    async def leak(self: object, *given: object) -> None:
        _kept.append(b"x" * size)
        await call(self, *given)

    middleware.__call__ = leak


if "PLANTED" in os.environ:
    _fault = {"loop": _loop, "model": _model, "leak": _leak}[os.environ["PLANTED"]]
    signal.signal(signal.SIGUSR1, lambda *_: _fault())
