"""A service that is told to end while it starts: it ends at once, in order, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from tests.processes import FAKE_ENGINE, command
from tests.samples import ROOT

# What each process runs first, of which some then stand still and say so.
_VALIDATION_STANDS = """
import os, signal, sys
if any("validation.process" in argument for argument in sys.orig_argv):
    with open(os.environ["TOLD"], "w") as told:
        told.write(f"{os.getpid()}\\n")
    while True:
        signal.pause()
"""
# A lock that is taken twice never comes back, whatever signal comes; `library` says whether Python can go on meanwhile.
_C_CALL_STANDS = """
import ctypes, os
lock = ctypes.create_string_buffer(64)
with open(os.environ["TOLD"], "w") as told:
    told.write(f"{{os.getpid()}}\\n")
take = ctypes.{library}(None).pthread_mutex_lock
take(lock), take(lock)
"""


class Starting:
    """A service that starts, and what is told by those of its processes that stand still."""

    def __init__(self, process: subprocess.Popen[str], told: int, temporary: Path) -> None:
        self.process, self._told, self.temporary = process, told, temporary

    def standing(self, count: int) -> list[psutil.Process]:
        """So many processes, once they stand still."""
        lines = b""
        while lines.count(b"\n") < count:
            lines += os.read(self._told, 1000)
        return [psutil.Process(int(line)) for line in lines.split()]

    def end(self, signalled: signal.Signals) -> str:
        """What it wrote, once it was told to end as a terminal tells it (SIGINT) or as everything else does."""
        if signalled is signal.SIGINT:
            os.killpg(self.process.pid, signalled)
        else:
            self.process.send_signal(signalled)
        _, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        assert list(self.temporary.iterdir()) == []
        return err


@contextmanager
def starting(folder: Path, *options: object, **planted: str) -> Iterator[Starting]:
    temporary, told, modules = folder / "temporary", folder / "told", folder / "modules"
    temporary.mkdir()
    modules.mkdir()
    os.mkfifo(told)
    for name, content in planted.items():
        (modules / f"{name}.py").write_text(content)
    environment = {"PYTHONPATH": f"{modules}:{ROOT}", "TMPDIR": str(temporary), "TOLD": str(told)}
    descriptor = os.open(told, os.O_RDWR)
    process = subprocess.Popen(
        command("service", "--port", 0, *options),
        cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield Starting(process, descriptor, temporary)
    finally:
        os.close(descriptor)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stderr.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("signalled", [signal.SIGTERM, signal.SIGINT])
def test_while_a_model_is_validated(tmp_path: Path, workers: int, signalled: signal.Signals) -> None:
    options = ("--workers", workers, *FAKE_ENGINE)
    with starting(tmp_path, *options, sitecustomize=_VALIDATION_STANDS) as service:
        validations = service.standing(workers)
        (folder,) = service.temporary.iterdir()
        written = sorted(path.name.partition("-")[0] for path in folder.iterdir() if not path.name.endswith(".lock"))
        assert written == ["metrics"] * (workers > 1) + ["model"] * workers
        log = service.end(signalled)
        assert "Traceback" not in log
        assert "ERROR" not in log
        assert not [process for process in validations if process.is_running()]


@pytest.mark.parametrize(("workers", "library"), [(1, "CDLL"), (2, "CDLL"), (2, "PyDLL")])
def test_while_a_call_of_c_code_lasts(tmp_path: Path, workers: int, library: str) -> None:
    """As TensorFlow's do. With PyDLL not even another thread of the worker can go on."""
    tensorflow = _C_CALL_STANDS.format(library=library)
    with starting(tmp_path, "--workers", workers, "--engine", "tensorflow", tensorflow=tensorflow) as service:
        loading = service.standing(workers)
        assert "Traceback" not in service.end(signal.SIGTERM)
        assert not [process for process in loading if process.is_running()]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("signalled", [signal.SIGTERM, signal.SIGINT])
def test_while_a_model_is_converted(tmp_path: Path, workers: int, signalled: signal.Signals) -> None:
    """One of the workers converts it, the other one waits for that."""
    options = ("--workers", workers, "--cache-dir", tmp_path / "kept")
    with starting(tmp_path, *options, tensorflow=_C_CALL_STANDS.format(library="CDLL")) as service:
        (converter,) = service.standing(1)
        assert "Traceback" not in service.end(signalled)
        psutil.wait_procs([converter], 10)
        assert not converter.is_running()


@pytest.mark.parametrize(
    ("what_becomes_of_it", "printed"),
    [
        ("raise", ""),
        ("pass", ""),
        ("raise ImportError('numpy is broken') from None", ""),
        ("[signal.raise_signal(number) for number in (2, 15)]; print('cleaned up', flush=True)", "cleaned up\n"),
    ],
    ids=["it passes", "it is caught", "it becomes another one", "more signals come"],
)
def test_whatever_becomes_of_the_exception_the_process_ends_in_order(what_becomes_of_it: str, printed: str) -> None:
    """Libraries in C make other errors of one that a signal raises inside of them."""
    program = dedent(f"""
        import signal
        from service.server.early_end import ending_at_signals
        with ending_at_signals():
            try:
                signal.raise_signal(signal.SIGTERM)
            except SystemExit:
                {what_becomes_of_it}
        print("it goes on")
    """)
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == (printed, "")
