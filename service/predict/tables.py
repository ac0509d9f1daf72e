"""Writes the answers as a table: CSV, JSON lines or Parquet; whole, or not at all. Knows no model and no journal."""

import csv
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from models.whole_files import whole_file
from service.predict.errors import Stopped, WrongUse

Row = dict[str, Any]

SUFFIXES = (".csv", ".jsonl", ".parquet")
_ROWS_OF_A_GROUP = 10_000
# With one of these a spreadsheet takes a text for a formula, which may run what it names.
_FORMULA = re.compile(r"[=+\-@\t\r]")


def check_target(target: Path) -> None:
    """Raise WrongUse, before anything takes long, where no table can be written to `target`."""
    if target.suffix not in SUFFIXES:
        raise WrongUse(f"-o {target} ends in {target.suffix or 'nothing'}; expected one of {', '.join(SUFFIXES)}")
    if target.suffix == ".parquet" and not find_spec("pyarrow"):
        raise WrongUse(
            f"pyarrow is needed to write {target}: pip install 'keras-image-service[parquet]'; or write .csv or .jsonl"
        )
    if not target.parent.is_dir():
        raise WrongUse(f"there is no folder {target.parent}; make it, or name another file with -o")
    if target.is_dir():
        raise WrongUse(f"{target} is a folder; name a file with -o")


def shown_path(path: str) -> str:
    r"""`path` as text that every program reads: bytes that are no UTF-8 are written `\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def write_table(target: Path, rows: Callable[[], Iterable[Row]]) -> int:
    """Write all `rows`, which are gone through twice, to `target`. Returns in how many a name was quoted (see `_safe`).

    Raises Stopped where it cannot be written; what was at `target` is then as it was.
    """
    write = {".csv": _write_csv, ".jsonl": _write_json_lines, ".parquet": _write_parquet}[target.suffix]
    with published(target) as beside:
        return write(beside, rows)


@contextmanager
def published(target: Path) -> Iterator[Path]:
    """A file beside `target`, which takes its place once it is whole. Raises Stopped where it cannot be written."""
    try:
        with whole_file(target) as beside:
            yield beside
    except OSError as error:
        raise Stopped(f"{target} cannot be written ({error.strerror or error})") from error


class _Layout(NamedTuple):
    """What there is a column for: so many classes, labels, embeddings of so many values."""

    classes: int
    labels: bool
    embedding: int

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "_Layout":
        classes, labels, embedding = 1, False, 0
        for row in rows:
            classes = max(classes, len(row.get("probabilities", ())))
            labels = labels or "labels" in row
            embedding = embedding or len(row.get("embedding", ()))
        return cls(classes, labels, embedding)

    def columns(self) -> list[str]:
        names = ["path", "class", "probability"]
        names += [name for rank in range(2, self.classes + 1) for name in (f"class_{rank}", f"probability_{rank}")]
        names += ["labels"] * self.labels
        names += ["familiarity", "model", "model_version", "problem_kind", "problem"]
        return names + ["embedding"] * bool(self.embedding)

    def record(self, row: Row) -> Row:
        """The row by column; what it has nothing for is None."""
        record: Row = dict.fromkeys(self.columns())
        record["path"] = shown_path(row["path"])
        if problem := row.get("problem"):
            return record | {"problem_kind": problem["kind"], "problem": problem["detail"]}
        for rank, one in enumerate(row["probabilities"], 1):
            place = "" if rank == 1 else f"_{rank}"
            record |= {f"class{place}": one["label"], f"probability{place}": one["probability"]}
        model = row["model"]
        record |= {"familiarity": row.get("familiarity"), "model": model["name"], "model_version": model["version"]}
        if self.labels:
            record["labels"] = row.get("labels")
        if self.embedding:
            record["embedding"] = row.get("embedding")
        return record


def _write_csv(beside: Path, rows: Callable[[], Iterable[Row]]) -> int:
    layout, quoted = _Layout.of(rows()), 0
    with beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(layout.columns())
        for row in rows():
            record = layout.record(row)
            if _FORMULA.match(record["path"]):
                record["path"] = f"./{record['path']}"  # the same file
            cells = [json.dumps(one, ensure_ascii=False) if isinstance(one, list) else one for one in record.values()]
            safe = [_safe(cell) if isinstance(cell, str) else cell for cell in cells]
            quoted += safe != cells
            table.writerow(safe)
    return quoted


def _safe(text: str) -> str:
    """With an apostrophe where a spreadsheet would take it for a formula; a number is none."""
    if not _FORMULA.match(text):
        return text
    try:
        return text if math.isfinite(float(text)) else f"'{text}"
    except ValueError:
        return f"'{text}"


def _write_json_lines(beside: Path, rows: Callable[[], Iterable[Row]]) -> int:
    with beside.open("w", encoding="utf-8") as file:
        for row in rows():
            file.write(json.dumps({**row, "path": shown_path(row["path"])}, ensure_ascii=False) + "\n")
    return 0


def _write_parquet(beside: Path, rows: Callable[[], Iterable[Row]]) -> int:
    import pyarrow as pa  # noqa: PLC0415 - an extra, and large
    from pyarrow import parquet  # noqa: PLC0415

    layout = _Layout.of(rows())
    kinds = {"labels": pa.list_(pa.string()), "embedding": pa.list_(pa.float32(), layout.embedding or -1)}
    numbers = ("probability", "familiarity")
    schema = pa.schema(
        [
            (name, kinds.get(name) or (pa.float64() if name.startswith(numbers) else pa.string()))
            for name in layout.columns()
        ]
    )
    with parquet.ParquetWriter(beside, schema) as table:
        group: list[Row] = []
        for row in rows():
            group.append(layout.record(row))
            if len(group) == _ROWS_OF_A_GROUP:
                table.write_table(pa.Table.from_pylist(group, schema))
                group.clear()
        table.write_table(pa.Table.from_pylist(group, schema))
    return 0
