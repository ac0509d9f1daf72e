"""Which models shall be loaded and in which version, where that is not simply what the files say.

Kept in a small folder that all workers of a service share, so that each of them learns what one was asked. Knows
neither HTTP nor an engine.
"""

import hashlib
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from service.errors import writing_temporary_files

STATE_FOLDER = "SERVICE_STATE_FOLDER"


class Wish(BaseModel):
    """What was last asked for one model.

    Without anything else it is to answer from its file as that is now. `unloaded`: it is not to answer at all.
    `version`: an earlier one is to answer, for as long as the file stays at the version `instead_of`.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    asked_ns: int = 0
    unloaded: bool = False
    version: str | None = None
    instead_of: str | None = None


class _Signature(NamedTuple):
    inode: int
    changed_ns: int


class DesiredState:
    """The wishes, one file for each model, replaced in one step."""

    def __init__(self, folder: Path) -> None:
        """`folder` must be there, and nobody else's."""
        self.folder = folder
        self._read: dict[Path, tuple[_Signature, Wish]] = {}

    def wishes(self) -> dict[str, Wish]:
        """All wishes by the model's name; those of before where the folder cannot be read. Reads only what changed."""
        with suppress(OSError):
            self._read = {path: self._wish(path) for path in self.folder.glob("*.json")}
        return {wish.name: wish for _, wish in self._read.values()}

    def ask(self, wish: Wish) -> Wish:
        """Let `wish` be what all workers follow from now on. Returns it with the time. Raises StorageFailed."""
        wish = wish.model_copy(update={"asked_ns": time.time_ns()})
        # A name may be anything; as the name of a file it must not.
        path = self.folder / f"{hashlib.sha256(wish.name.encode()).hexdigest()[:32]}.json"
        beside = path.with_suffix(f".{secrets.token_hex(8)}")
        with writing_temporary_files():
            beside.write_text(wish.model_dump_json())
            beside.replace(path)
        return wish

    def _wish(self, path: Path) -> tuple[_Signature, Wish]:
        status = path.stat()
        signature = _Signature(status.st_ino, status.st_mtime_ns)
        known = self._read.get(path)
        return known if known and known[0] == signature else (signature, Wish.model_validate_json(path.read_bytes()))
