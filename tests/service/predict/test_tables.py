"""What the table looks like in each format."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from service.predict import tables
from service.predict.errors import Stopped, WrongUse
from tests.samples import left_out_without

MODEL = {"name": "small", "version": "0123456789ab"}


def answered(path: str, *labels: str, **more: Any) -> dict[str, Any]:
    classes = [{"label": label, "index": place, "probability": 0.5 / (1 + place)} for place, label in enumerate(labels)]
    return {"path": path, **classes[0], "familiarity": None, "probabilities": classes, **more, "model": MODEL}


ROWS = [
    answered("a.png", "=cmd()", "-1"),
    answered("b.png", "cat", labels=["cat", "dog"]),
    {"path": "c.png", "problem": {"kind": "empty", "detail": "the file is empty"}},
]


def test_a_class_is_no_formula_in_csv(tmp_path: Path) -> None:
    assert tables.write_table(tmp_path / "a.csv", lambda: ROWS) == 1
    with (tmp_path / "a.csv").open(newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["class"], first["class_2"]) == ("'=cmd()", "-1")
    assert second["labels"] == '["cat", "dog"]'
    assert (third["class"], third["problem_kind"]) == ("", "empty")


@left_out_without(find_spec("pyarrow") is not None, "pyarrow")
def test_parquet_has_the_same_columns(tmp_path: Path) -> None:
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    tables.write_table(tmp_path / "a.parquet", lambda: ROWS)
    table = parquet.read_table(tmp_path / "a.parquet").to_pydict()
    assert table["class"] == ["=cmd()", "cat", None]
    assert table["probability"] == [0.5, 0.5, None]
    assert table["labels"] == [None, ["cat", "dog"], None]


def test_without_pyarrow_it_says_so_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "find_spec", lambda _: None)
    with pytest.raises(WrongUse, match=r"\[parquet\]"):
        tables.check_target(tmp_path / "a.parquet")


def test_a_table_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("before")

    def rows() -> list[dict[str, Any]]:
        raise OSError(28, "No space left on device")

    with pytest.raises(Stopped, match="No space left"):
        tables.write_table(tmp_path / "a.csv", rows)
    assert (tmp_path / "a.csv").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
