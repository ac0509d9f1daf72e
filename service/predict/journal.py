"""The journal beside the table: each answer as soon as it is known, so that nothing stops the program for good.

A file of JSON lines. The first says what the answers depend on; a line that a kill cut short is dropped. Knows no
model, no service and no table.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from service.predict.errors import Stopped, WrongUse

try:
    import fcntl
except ImportError:  # on Windows, where nobody is kept from starting the program twice
    fcntl = None  # type: ignore[assignment]

_FORMAT = 1
# So much work is lost at most where the power fails; where only the program is killed, nothing is.
_SYNC_EVERY_S = 1.0

Row = dict[str, Any]


class Version(NamedTuple):
    """Which content of a file an answer is about: its size and when it was changed; -1 where there is no file."""

    size: int
    mtime_ns: int


class Journal:
    """Open, and locked, until it is closed."""

    def __init__(self, path: Path, settings: Mapping[str, Any], *, restart: bool) -> None:
        """`settings` are what the answers depend on.

        Raises WrongUse where another program has it open, or an earlier run had other `settings`; Stopped where it
        cannot be written.
        """
        self.path = path
        self.model: Mapping[str, Any] | None = None
        """That of all answers in it."""
        self.written = False
        """Whether all answers are known and the table is written."""
        self.explaining: str | None = None
        self.explained: set[str] = set()
        self.moves: list[tuple[str, str]] = []
        """From where to where, the last one perhaps only begun."""
        self._rows: dict[str, tuple[Version, int]] = {}
        self._synced = time.monotonic()
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise WrongUse(f"{path} cannot be written ({error.strerror}); name another table with -o") from error
        try:
            self._lock()
            if restart:
                self._file.truncate(0)
            self._end = 0
            self._read(dict(settings))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def paths(self) -> list[str]:
        """Of all rows, in the order in which they came."""
        return list(self._rows)

    def has(self, path: str, version: Version) -> bool:
        """Whether the row of that content of the file is known."""
        found = self._rows.get(path)
        return found is not None and found[0] == version

    def version(self, path: str) -> Version:
        """Of the content that the row of `path` is about."""
        return self._rows[path][0]

    def row(self, path: str) -> Row:
        """The one of `path`."""
        self._file.seek(self._rows[path][1])
        row: Row = json.loads(self._file.readline())["row"]
        return row

    def rows(self, paths: Sequence[str]) -> Iterator[Row]:
        """Those of `paths`, read one after the other."""
        with self.path.open("rb") as file:
            for path in paths:
                file.seek(self._rows[path][1])
                yield json.loads(file.readline())["row"]

    def add(self, rows: Sequence[tuple[str, Version, Row]]) -> None:
        """Write rows down, all at once.

        Raises WrongUse where another model answered than before, and Stopped where there is no room.
        """
        for _, _, row in rows:
            self._check_model(row)
        lines = [
            _line({"path": path, "size": version.size, "mtime_ns": version.mtime_ns, "row": row})
            for path, version, row in rows
        ]
        start = self._append(b"".join(lines))
        for (path, version, _), line in zip(rows, lines, strict=True):
            self._rows[path] = (version, start)
            start += len(line)

    def table_written(self) -> None:
        """Note that the table is there."""
        self._append(_line({"written": True}), sync=True)
        self.written = True

    def begin_explaining(self, folder: str) -> None:
        """Note that the drawings in `folder` are ours from now on."""
        self._append(_line({"explaining": folder}))
        self.explaining = folder

    def add_explained(self, path: str) -> None:
        """Note that the drawing of `path` is there."""
        self._append(_line({"explained": path}))
        self.explained.add(path)

    def begin_move(self, path: str, target: str) -> None:
        """Note that `path` is about to be moved to `target`."""
        self._append(_line({"move": [path, target]}))
        self.moves.append((path, target))

    def sync(self) -> None:
        """Have all of it on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let others have it."""
        self._file.close()

    def remove(self) -> None:
        """All is done."""
        self.path.unlink()

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # If not, the other one has just come to its end.
            ours = os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            raise WrongUse(
                f"another cnn-predict is writing {self.path}; wait for its end, or name another table with -o"
            )

    def _read(self, settings: dict[str, Any]) -> None:
        self._file.seek(0)
        with os.fdopen(os.dup(self._file.fileno()), "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    self._take(json.loads(line), settings, first=number == 1)
                except (ValueError, KeyError, TypeError) as error:
                    raise WrongUse(
                        f"line {number} of {self.path} is none that cnn-predict writes; begin anew with --restart"
                    ) from error
                self._end += len(line)
        try:
            self._file.truncate(self._end)
        except OSError as error:
            raise self._no_room(error) from error
        if not self._end:
            self._append(_line({"cnn-predict": _FORMAT, "settings": settings}))

    def _take(self, line: dict[str, Any], settings: dict[str, Any], *, first: bool) -> None:
        if first:
            if line["cnn-predict"] != _FORMAT:
                raise WrongUse(f"{self.path} is of another version of cnn-predict; begin anew with --restart")
            self._check_settings(line["settings"], settings)
        elif "row" in line:
            self._check_model(line["row"])
            self._rows[line["path"]] = (Version(line["size"], line["mtime_ns"]), self._end)
        elif "explained" in line:
            self.explained.add(line["explained"])
        elif "move" in line:
            path, target = line["move"]
            self.moves.append((path, target))
        elif "explaining" in line:
            self.explaining = line["explaining"]
        else:
            self.written = line["written"]

    def _check_settings(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        # As JSON has it, where a tuple is a list.
        now = json.loads(json.dumps(now))
        changed = [
            f"{name} was {json.dumps(before.get(name))}, now {json.dumps(now.get(name))}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise WrongUse(
                f"{self.path} was begun with other settings ({'; '.join(changed)}); give the same, or begin anew with "
                "--restart"
            )

    def _check_model(self, row: Row) -> None:
        model = row.get("model")
        if model is None:
            return
        if self.model is None:
            self.model = model
        self.check_model(model)

    def check_model(self, model: Mapping[str, Any]) -> None:
        """Raise WrongUse where the answers so far are of another one."""
        if self.model is not None and dict(model) != dict(self.model):
            raise WrongUse(
                f"the {len(self._rows):,} answers in {self.path} are of the model {self.model['name']}, version "
                f"{self.model['version']}, and now {model['name']}, version {model['version']}, answers; they are not "
                "mixed. Have the former one answer, or begin anew with --restart"
            )

    def _append(self, content: bytes, *, sync: bool = False) -> int:
        """Where it begins. Raises Stopped; what was there before stays as it is."""
        start, left = self._end, memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
            if sync or time.monotonic() - self._synced > _SYNC_EVERY_S:
                self.sync()
                self._synced = time.monotonic()
        except OSError as error:
            raise self._no_room(error) from error
        self._end += len(content)
        return start

    def _no_room(self, error: OSError) -> Stopped:
        return Stopped(f"{self.path} cannot be written ({error.strerror or error})")


def _line(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
