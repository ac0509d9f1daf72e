"""What comes from a process that runs untrusted models is built of results, plain values and numbers, or not at all."""

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.reasons import first_line
from service.errors import GraphvizMissing, InferenceFailed, NotInModel, StorageFailed
from service.explain.process.messages import (
    Answer,
    Call,
    EndOfConversation,
    answer_of_error,
    receive_answer,
    receive_call,
    send,
)
from service.explain.results import Window
from tests.attacks.explaining_process import FOREIGN, MALFORMED, endless, forged_array


def through(send_it: Callable[[socket.socket], None], receive: Callable[[socket.socket], Any]) -> Any:
    """What `receive` makes of what was sent, and of the end of it."""
    one, other = socket.socketpair()
    with other:

        def talk() -> None:
            with one:
                send_it(one)

        threading.Thread(target=talk).start()
        return receive(other)


def raw(content: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(content)


def test_results_come_back_as_they_were_made() -> None:
    window = Window(np.ones((2, 3), np.float32), [1, 2], [-1], np.array([True, False]))
    found = {"window": window, "counts": np.arange(3), "none": None, "empty": np.zeros((0, 4), np.float64)}
    received = through(lambda connection: send(connection, tuple(Answer(found))), receive_answer).result()
    assert type(received["window"]) is Window
    assert received["window"].rows == [1, 2]
    for one, other in ((received["window"].values, window.values), (received["counts"], found["counts"])):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert received["empty"].shape == (0, 4)


@pytest.mark.parametrize("attack", FOREIGN)
def test_nothing_else_is_built(attack: Callable[[], bytes], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EndOfConversation, match=r"what is no answer .*is no result of an explanation"):
        through(raw(attack()), receive_answer)
    assert capsys.readouterr().out == ""


def test_a_single_number_of_numpys_is_no_plain_one() -> None:
    with pytest.raises(EndOfConversation, match="what is no answer"):
        through(lambda connection: send(connection, (np.float32(1), None)), receive_answer)


@pytest.mark.parametrize("attack", MALFORMED)
def test_what_is_no_answer_ends_the_conversation(attack: Callable[[], bytes]) -> None:
    with pytest.raises(EndOfConversation, match="what is no answer"):
        through(raw(attack()), receive_answer)


@pytest.mark.parametrize(
    "forged", [("O", (1,), b"12345678"), ("<f4", (9,), b"1234"), ("V8", (1,), b"12345678"), ("f4", (-1, -1), b"1234")]
)
def test_an_array_is_of_numbers_and_as_large_as_it_says(forged: tuple[str, tuple[int, ...], bytes]) -> None:
    with pytest.raises(EndOfConversation, match="what is no answer"):
        through(raw(forged_array(*forged)), receive_answer)


def test_a_message_is_bounded() -> None:
    with pytest.raises(EndOfConversation, match="at most"):
        through(raw(endless()), receive_answer)


@pytest.mark.parametrize("sent", [b"", b"\0\0\0", struct.pack("!Q", 10) + b"12345"])
def test_an_end_in_the_middle_is_told(sent: bytes) -> None:
    with pytest.raises(EndOfConversation):
        through(raw(sent), receive_answer)


@pytest.mark.parametrize(
    "error", [NotInModel("row: 28"), GraphvizMissing("no dot"), StorageFailed(OSError(28, "No space left on device"))]
)
def test_errors_come_back_as_what_they_are(error: Any) -> None:
    answer = through(lambda connection: send(connection, tuple(answer_of_error(error))), receive_answer)
    with pytest.raises(type(error)) as caught:
        answer.result()
    assert str(caught.value) == str(error)


def test_a_fault_is_told_with_its_traceback_to_the_log_alone() -> None:
    answer = through(lambda connection: send(connection, ("Traceback: division", "ZeroDivisionError")), receive_answer)
    with pytest.raises(InferenceFailed) as caught:
        answer.result()
    assert "division" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert first_line(caught.value.__cause__) == "Traceback: division"


def test_an_open_file_goes_along(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    with path.open() as file:
        path.unlink()
        call, received = through(
            lambda connection: send(connection, Call(3, "load", ("card",)), file.fileno()), receive_call
        )
    assert call == Call(3, "load", ("card",))
    with open(received) as file:  # noqa: PTH123 - there is no path
        assert file.read() == "content"
