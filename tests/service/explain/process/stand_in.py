"""An explaining process without Keras: its loop is the real one, and its methods are what tests need of them."""

import os
import pathlib
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import NotInModel
from service.explain.deadline import ensure_time, within
from service.explain.process.child import answer_calls, bound_memory
from service.explain.process.messages import DROP, LOAD, START, Call
from service.model_files.source import version_of


class StandIn:
    def __init__(self) -> None:
        self.versions: dict[int | None, str] = {}

    def answer(self, call: Call, file: int | None) -> Any:
        model, method, arguments, within_s = call
        match method:
            case _ if method == START:
                return None
            case _ if method == LOAD and file is not None:
                # As the file has it, and not as the caller says.
                self.versions[model] = version_of(file) or "unreadable"
            case _ if method == DROP:
                del self.versions[model]
            case "loaded":
                return sorted(self.versions.values())
            case "version":
                return self.versions[model]
            case "hang":
                hang(Path(arguments[0]))
            case "die":
                os._exit(3)
            case "refuse":
                raise NotInModel("no such layer")
            case "fail":
                raise ZeroDivisionError("what the log says")
            case "grow":
                bound_memory(64 << 20)
                return np.ones(arguments[0] << 20, np.uint8).sum().item() >> 20
            case "take time":
                take_time(within_s)
            case "foreign":
                return pathlib.PurePosixPath("/")
        return method


def hang(until: Path) -> None:
    until.with_name(f"{until.name} begun").touch()
    while not until.exists():
        time.sleep(0.005)


def take_time(within_s: float | None) -> None:
    with within(within_s):
        while True:
            ensure_time()


if __name__ == "__main__":
    answer_calls(socket.socket(fileno=int(sys.argv[1])), StandIn())
