"""Ports for servers that have to be told one before they start."""

import random
import socket


def free_port() -> int:
    """One that nobody listens at, and that the system gives to nobody who asks for any.

    Those that it gives, also to whoever calls, begin at 32,768 on Linux and above that elsewhere.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
