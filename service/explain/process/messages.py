"""What the serving and the explaining process send each other. Knows no model, no Keras and no HTTP.

A call is pickled as it is: it comes from the process that started the other one. An answer comes from a process that
runs an untrusted model: nothing is built of it but plain values, arrays of numbers, and the results of explanations.
"""

import io
import pickle
import socket
import struct
from typing import Any, NamedTuple

import numpy as np

from models.card import ModelCard
from service.errors import (
    DeadlineExceeded,
    GraphvizMissing,
    InferenceFailed,
    NothingToExplain,
    NotInModel,
    ServiceError,
    StorageFailed,
)
from service.explain.results import Attribution, ConvolutionTrace, Kernels, PoolingTrace, Window

# Of one message. The largest are all maps of a model for one image.
MOST_BYTES = 1 << 30
LOAD = "load"
DROP = "drop"
START = "start"

_LENGTH = struct.Struct("!Q")
_RESULTS = {kind.__name__: kind for kind in (Attribution, ConvolutionTrace, Kernels, PoolingTrace, Window)}
_ERRORS = {
    kind.__name__: kind for kind in (DeadlineExceeded, GraphvizMissing, NothingToExplain, NotInModel, StorageFailed)
}
_NUMBERS = "biuf"


class LoadableModel(NamedTuple):
    """What LOAD takes beside the open file: the card as the serving process has it, and the version of the file.

    `max_bytes` is the largest model file that is loaded.
    """

    card: ModelCard
    version: str
    max_bytes: int


class Call(NamedTuple):
    """A method of the explainer of the model that was loaded as `model`, or, for None, of no model.

    It is given up where it takes longer than `within_s`; None for any time.
    """

    model: int | None
    method: str
    arguments: tuple[Any, ...] = ()
    within_s: float | None = None


class Answer(NamedTuple):
    """What a call came to: `value`, or the `error`, whose `value` is its text: that of one of ours, or a traceback."""

    value: Any
    error: str | None = None

    def result(self) -> Any:
        """The value. Raises the error, as it was raised there, or InferenceFailed with the traceback as its cause."""
        if self.error is None:
            return self.value
        kind = _ERRORS.get(self.error)
        if kind is None:
            failed = InferenceFailed("the service failed at this request; its log says more")
            raise failed from RuntimeError(str(self.value))
        # Not every class is made of a text; what is told is the text.
        raise kind.__new__(kind, str(self.value))


def answer_of_error(error: ServiceError) -> Answer:
    """What the other process is told of `error`."""
    return Answer(str(error), type(error).__name__)


class EndOfConversation(Exception):
    """The other process is gone, or sends what is no message."""


def send(connection: socket.socket, message: object, file: int | None = None) -> None:
    """Send `message`, and with it an open `file`. Raises EndOfConversation."""
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(message)
    length = _LENGTH.pack(buffer.tell())
    try:
        # Linux gives a file away together with at least one byte.
        socket.send_fds(connection, [length], [] if file is None else [file])
        connection.sendall(buffer.getbuffer())
    except OSError as error:
        raise EndOfConversation(f"the other process is gone ({error.strerror or error})") from error


def receive_call(connection: socket.socket) -> tuple[Call, int | None]:
    """The next call, and the file that came with it. Raises EndOfConversation."""
    content, file = _receive(connection)
    return _CallUnpickler(io.BytesIO(content)).load(), file


def receive_answer(connection: socket.socket) -> Answer:
    """The next answer. Raises EndOfConversation, also for one that holds anything that no answer holds."""
    content, _ = _receive(connection)
    try:
        value, kind = _AnswerUnpickler(io.BytesIO(content)).load()
    except Exception as error:  # whatever else than an answer it is: nothing more is believed of that process
        raise EndOfConversation(f"the other process sent what is no answer ({error})") from error
    return Answer(value, kind if kind is None else str(kind))


def _receive(connection: socket.socket) -> tuple[bytes, int | None]:
    try:
        start, files, *_ = socket.recv_fds(connection, _LENGTH.size, 1)
        start += _exactly(connection, _LENGTH.size - len(start))
        (length,) = _LENGTH.unpack(start)
        if length > MOST_BYTES:
            raise EndOfConversation(f"a message has {length:,} bytes, and at most {MOST_BYTES:,} are read")
        return bytes(_exactly(connection, length)), files[0] if files else None
    except OSError as error:
        raise EndOfConversation(f"the other process is gone ({error.strerror or error})") from error


def _exactly(connection: socket.socket, count: int) -> bytearray:
    content = bytearray(count)
    view, got = memoryview(content), 0
    while got < count:
        piece = connection.recv_into(view[got:])
        if not piece:
            raise EndOfConversation("the other process ended")
        got += piece
    return content


class _Pickler(pickle.Pickler):
    """Writes arrays as a type, a shape and bytes: what makes an array of that is ours and not what the bytes name."""

    def persistent_id(self, obj: object) -> tuple[str, tuple[int, ...], bytes] | None:
        if isinstance(obj, np.ndarray) and obj.dtype.kind in _NUMBERS:
            return obj.dtype.str, obj.shape, obj.tobytes()
        return None


class _CallUnpickler(pickle.Unpickler):
    """Builds whatever comes: the process that started this one sent it."""

    def persistent_load(self, pid: Any) -> Any:
        kind, shape, content = pid
        if np.dtype(kind).kind not in _NUMBERS:
            raise pickle.UnpicklingError(f"an array of {kind!r:.20}")
        return np.frombuffer(content, kind).reshape(shape)


class _AnswerUnpickler(_CallUnpickler):
    """Builds nothing that is named but the results of explanations."""

    def find_class(self, module: str, name: str) -> Any:
        if module == Attribution.__module__ and name in _RESULTS:
            return _RESULTS[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no result of an explanation")
