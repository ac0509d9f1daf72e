"""One decoding process: reads encoded images from its standard input, a socket, and answers there. Knows no asyncio.

Run as a program. It ends itself when the worker has gone; the kernel ends it where an image takes too much time.
Imports nothing but what decoding needs, so that another one can be there in a moment.
"""

import os
import signal
import socket
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import cv2
from PIL import AvifImagePlugin

from models.card import ImageInput
from models.decoding import MEMORY_SPENT, open_image
from models.image_errors import ImageError, TooComplex
from models.preprocessing import prepare
from service.inference.decoding_messages import QUESTION_HEAD, READY, packed_answer, packed_refusal

# The slowest image of 25 megapixels takes some 1.2 s: an interlaced PNG, an AVIF, a WebP, each with transparency.
# A HEIC of 48 takes 2.3 s.
CPU_SECONDS = 5
# The dearest is a WebP without loss: 18 bytes a pixel. The process itself keeps 160 MB after large images.
BYTES_PER_PIXEL, OTHER_BYTES = 20, 192 << 20
# Predictions go first.
_NICENESS = 10


def memory_for(max_pixels: int) -> int:
    """How many bytes a process needs that decodes images of so many pixels."""
    return OTHER_BYTES + BYTES_PER_PIXEL * max_pixels


def main() -> None:
    """Answer until the socket closes.

    Arguments: the most pixels of an image, bytes of memory that the process may have, seconds of processor time that an
    image may take.
    """
    max_pixels, memory_bytes, cpu_seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    _bound_this_process(memory_bytes)
    warnings.simplefilter("ignore")  # of what is damaged in an image; its sender is told
    _silence_decoders()
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # A group's signal is for the worker, which still has images in hand.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=sys.stdin.fileno()) as connection, suppress(OSError):
        connection.sendall(READY)
        with connection.makefile("rb") as questions:
            while answer := _answer(questions, max_pixels, cpu_seconds):
                connection.sendall(answer)


def _silence_decoders() -> None:
    """Keep what libtiff and others write of a damaged image from the log; what Python says of a fault stays."""
    sys.stderr = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)


def _answer(questions: BinaryIO, max_pixels: int, cpu_seconds: float) -> bytes:
    """The answer to the next question; nothing where there is none."""
    head = questions.read(QUESTION_HEAD.size)
    if len(head) < QUESTION_HEAD.size:
        return b""
    card_size, size, as_card_says, shown = QUESTION_HEAD.unpack(head)
    card, content = questions.read(card_size), questions.read(size)
    if len(content) < size:
        return b""
    _limit_time(cpu_seconds)
    try:
        prepared = prepare(
            open_image(content, max_pixels), ImageInput.model_validate_json(card), "auto" if as_card_says else "none"
        )
        return packed_answer(prepared, shown=shown)
    except ImageError as error:
        return packed_refusal(error)
    except MemoryError:
        return packed_refusal(TooComplex(MEMORY_SPENT))
    finally:
        _limit_time(0)


def _bound_this_process(memory_bytes: int) -> None:
    import resource  # noqa: PLC0415 - not there on Windows, where the worker imports this module all the same

    os.nice(_NICENESS)
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, memory_bytes)):
        _, ceiling = resource.getrlimit(what)
        limit = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        resource.setrlimit(what, (limit, limit))


def _limit_time(seconds: float) -> None:
    """End this process after so much processor time of all its threads from now on; 0 is no limit."""
    # What the signal does where Python has no handler for it, which would wait for the decoder to return.
    signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
