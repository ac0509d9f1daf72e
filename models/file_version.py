"""Which file it is: the SHA-256 of what is in it, and the version that begins it. Knows no format."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from models.regular_files import pieces

VERSION_DIGITS = 12


def sha256_of(path: Path, most_bytes: int | None = None, use: Callable[[bytes], object] = len) -> str:
    """The SHA-256 of the file at `path`, in hex; `use` is given all that is in it, piece by piece.

    Raises OSError, also for what is no regular file or has more than `most_bytes`, before it is read; and what `use`
    raises.
    """
    digest = hashlib.sha256()
    for piece in pieces(path, most_bytes):
        digest.update(piece)
        use(piece)
    return digest.hexdigest()


def file_version(path: Path, most_bytes: int | None = None) -> str:
    """The first 12 hex digits of the SHA-256 of the file at `path`. Raises OSError as `sha256_of` does."""
    return sha256_of(path, most_bytes)[:VERSION_DIGITS]
