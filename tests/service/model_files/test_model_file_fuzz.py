"""Damaged model files of every kind: refused, or loaded, and never more. `make fuzz` looks for longer.

Each file is validated in a process of its own with the bounds of the real one; what that accepts is loaded and warmed
as for the service, and then either it answers or a documented error says why not.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import keras
import pytest
from hypothesis import given

from models.card import ModelFileError
from models.specification import Facts
from service.engines.tensorflow import TensorFlowLoader
from service.model_files import snapshot as snapshots
from tests.attacks.damaged_models import damaged
from tests.samples import ROOT

# Few where the damage is not looked for: each example is a process, and a model that is built.
EXAMPLES = max(15, int(os.environ.get("FUZZ_EXAMPLES", "0")) // 20)
# Forks for each file that it is told: the interpreter and its imports would take a hundred times as long.
VALIDATORS = """
import os, sys
from service.model_files.validation import process
for line in sys.stdin:
    file, most, said = line.rstrip().split("\\t")
    if (child := os.fork()) == 0:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT, 0o600), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.argv = ["", file, most]
        status = 1
        try:
            status = process._main()
            sys.stdout.flush()
        finally:
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def validators() -> Iterator[Callable[[Path, Path, int], None]]:
    """In place of a new interpreter for each file: a process for each, forked from one that has all imports."""
    with subprocess.Popen(
        [sys.executable, "-X", "utf8", "-c", VALIDATORS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"HDF5_PLUGIN_PRELOAD": "::"},
    ) as server:
        assert server.stdin
        assert server.stdout

        def validate(path: Path, file: Path, max_bytes: int) -> None:
            said = file.with_name("said")
            server.stdin.write(f"{file}\t{max_bytes}\t{said}\n")
            server.stdin.flush()
            status = int(server.stdout.readline())
            assert status in {0, 1, -signal.SIGSEGV, -signal.SIGABRT}, f"status {status}"  # not out of time, for one
            if status:
                raise ModelFileError(f"{path} is refused: {said.read_text('utf-8') or 'it crashed'}")

        yield validate
        server.stdin.close()


@pytest.mark.filterwarnings("ignore")  # of whatever Keras or NumPy think of such files
@hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
@given(content=damaged())
def test_a_damaged_file_is_loaded_or_ends_in_a_documented_error(
    content: bytes, validators: Callable[[Path, Path, int], None]
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "_validate", validators)
        path = Path(folder) / "model"
        path.write_bytes(content)
        said = ""
        try:
            TensorFlowLoader("cpu", None, Facts(), 1).load(path)
        except ModelFileError as error:
            said = str(error)
        finally:
            keras.backend.clear_session()
        assert len(said) < 700
        assert "Traceback" not in said
