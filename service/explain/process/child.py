"""What the explaining process runs: it answers calls, one after the other, until the process that sends them is gone.

It runs untrusted models, and its memory is bounded. Knows the calls and no HTTP; Keras comes with the first model.
"""

import gc
import logging.config
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from models.card import ModelFileError
from models.library_notes import library_notes_left_out
from service.errors import NothingToExplain, ServiceError
from service.explain.deadline import within
from service.explain.process.messages import (
    DROP,
    LOAD,
    START,
    Answer,
    Call,
    EndOfConversation,
    LoadableModel,
    answer_of_error,
    receive_call,
    send,
)
from service.logs import logging_configuration
from service.model_files.snapshot import ModelFileLimits
from service.model_files.source import path_of, version_of
from service.settings import ENVIRONMENT_PREFIX

if TYPE_CHECKING:
    from service.explain.keras_explainer import KerasExplainer

# By so much the process may grow beyond what it takes with its models loaded; then a call fails for want of memory.
MOST_GROWTH_BYTES = 1 << 30

_TOO_LARGE = NothingToExplain(
    f"explaining this takes more than {MOST_GROWTH_BYTES >> 20} MiB of memory beside the model; ask for one layer, or "
    "for another method"
)


class Explanations:
    """The models that are loaded here, each with what explains it."""

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        self._explainers: dict[int, KerasExplainer] = {}
        self._drawings: Mapping[str, Callable[..., bytes]] = {}

    def answer(self, call: Call, file: int | None) -> Any:
        """What the method that is called returns or raises."""
        model, method, arguments, within_s = call
        if method == START:
            from service.explain.drawing.by_name import DRAWINGS  # noqa: PLC0415 - takes a second

            self._drawings = DRAWINGS
        elif model is None:
            with within(within_s):
                return self._drawings[method](*arguments)
        elif method == LOAD and file is not None:
            self._explainers[model] = _loaded(file, *arguments)
        elif method == DROP:
            self._explainers.pop(model, None)
            gc.collect()
        else:
            with within(within_s):
                return getattr(self._explainers[model], method)(*arguments)
        bound_memory()
        return None


def _loaded(file: int, model: LoadableModel) -> "KerasExplainer":
    """What explains the model in the open file. Raises NothingToExplain where the file is not what it was."""
    changed = (
        f"the file that version {model.version} was loaded from has been written over since, so that this version can "
        "be used but not explained; load the model again, and put a new file in the place of the old one instead"
    )
    if version_of(file) != model.version:
        raise NothingToExplain(changed)
    with library_notes_left_out():
        from service.explain.keras_explainer import (  # noqa: PLC0415 - seconds
            load_explainer,
            use_one_thread_of_the_cpu,
        )

    use_one_thread_of_the_cpu()
    bound_memory(None)  # how large a model may be is seen to where it is loaded
    try:
        return load_explainer(path_of(file), model.card, model.version, ModelFileLimits(model.max_bytes))
    except ModelFileError as error:
        raise NothingToExplain(f"version {model.version} cannot be loaded again to be explained ({error})") from error


def bound_memory(growth: int | None = MOST_GROWTH_BYTES) -> None:
    """Let the process take so many bytes more than it has now, where the system knows of that; None for any number."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not there on Windows

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = hard
        if growth is not None:
            lines = Path("/proc/self/status").read_text().splitlines()
            (used,) = (int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
            soft = used + growth if hard == resource.RLIM_INFINITY else min(hard, used + growth)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


class Answers(Protocol):
    """Whatever answers calls."""

    def answer(self, call: Call, file: int | None) -> Any:
        """What the method that is called, with an open file for LOAD, returns or raises."""


def answer_calls(connection: socket.socket, explanations: Answers) -> None:
    """Until the other side is gone, perhaps in the middle of a call: then all that was started here ends at once."""
    # The service's own signals go to all of its processes, where a terminal or a system's manager sends them. This one
    # works until the service needs it no longer, so that what was accepted is answered.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    calls: SimpleQueue[tuple[Call, int | None]] = SimpleQueue()

    def receive() -> None:
        with suppress(EndOfConversation):
            while True:
                calls.put(receive_call(connection))
        _end()

    Thread(target=receive, daemon=True).start()
    while True:
        call, file = calls.get()
        try:
            answer = Answer(explanations.answer(call, file))
        except ServiceError as error:
            answer = answer_of_error(error)
        except Exception as error:  # whatever it is, the next call is answered
            kind = type(error).__name__
            of_memory = kind in ("MemoryError", "ResourceExhaustedError")  # Python's, TensorFlow's
            answer = answer_of_error(_TOO_LARGE) if of_memory else Answer(traceback.format_exc(), kind)
        finally:
            if file is not None:
                os.close(file)
        try:
            send(connection, tuple(answer))
        except EndOfConversation:
            _end()


def _end() -> None:
    """End this process and those that it started, validation and Graphviz among them."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _log_as_the_service() -> None:
    """What libraries say here, on the same standard error."""
    if os.environ.get(f"{ENVIRONMENT_PREFIX}LOG_FORMAT") == "json":
        logging.config.dictConfig(logging_configuration("warning", "json"))
        logging.captureWarnings(True)


if __name__ == "__main__":
    _log_as_the_service()
    answer_calls(socket.socket(fileno=int(sys.argv[1])), Explanations())
