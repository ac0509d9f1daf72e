"""Pictures in a folder, and the program run to its end."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.processes import run_to_end
from tests.samples import SAMPLE_FILES, SHIPPED_MODEL

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """In the test's own folder, with the shipped model."""

    def run(*options: object, **environment: str) -> CompletedProcess[str]:
        return run_to_end(
            "service.predict", *options, cwd=tmp_path, SERVICE_MODEL_PATH=str(SHIPPED_MODEL), **environment
        )

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten pictures, one of each class, in two folders."""
    for place, file in enumerate(SAMPLE_FILES[::20]):
        folder = tmp_path / "photos" / ("a" if place % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    return tmp_path / "photos"


def rows_of(table: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in table.read_text().splitlines()]
