"""`make`: what it passes on, and what is seen of what takes long."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import ROOT

WITH_PROGRESS = ROOT / "requirements" / "with_progress.py"


def dry_run(*arguments: str, **environment: str) -> str:
    command = ["make", "--dry-run", "--always-make", *arguments]
    # What runs the tests may be a make itself, whose own options would be this one's.
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    finished = subprocess.run(command, cwd=ROOT, env=usual | environment, capture_output=True, text=True, check=True)
    return finished.stdout.splitlines()[-1]


def run_with_progress(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, WITH_PROGRESS, *command], capture_output=True, text=True, check=False)


def test_model_host_and_port_are_options_of_the_service() -> None:
    command = dry_run("serve", "PORT=8700", "HOST=0.0.0.0", "MODEL=my model.keras", "ARGS=--watch")
    options = '--model-path "my model.keras" --host "0.0.0.0" --port "8700" --watch'
    assert command.endswith(f"python -m service {options}")


def test_variables_of_these_names_that_somebody_else_set_are_none() -> None:
    """SERVICE_PORT comes before a platform's PORT, and an option would come before both."""
    command = dry_run("serve", PORT="8700", HOST="workstation", MODEL="x")
    assert command.split()[-3:] == [".venv/bin/python", "-m", "service"]


def test_a_command_that_ends_well_prints_nothing() -> None:
    finished = run_with_progress("echo", "Collecting numpy")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_all_that_a_command_printed_is_shown_when_it_fails_with_its_status() -> None:
    finished = run_with_progress("sh", "-c", "echo Collecting numpy; echo no such version >&2; exit 7")
    assert (finished.returncode, finished.stdout, finished.stderr) == (7, "Collecting numpy\n", "no such version\n")


def test_a_command_that_takes_long_is_seen_by_its_latest_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specification = importlib.util.spec_from_file_location("with_progress", WITH_PROGRESS)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    os.mkfifo(tmp_path / "end")
    seen: list[str] = []

    def look(line: str, **_: object) -> None:
        seen.append(line)
        if [one for one in seen if one.endswith("Collecting numpy")] == [line]:
            (tmp_path / "end").write_text("")  # which the command waits for

    monkeypatch.setattr(module, "print", look, raising=False)
    monkeypatch.setattr(module, "EVERY_S", 0.05)
    monkeypatch.setattr(sys, "argv", ["", "sh", "-c", f"echo Collecting numpy; cat '{tmp_path}/end'"])
    with pytest.raises(SystemExit, match=r"^0$"):
        module.main()
    assert "  Collecting numpy" in "\n".join(seen)
