"""A process that stands still ends, with a word on where it stood; one that only works long does not."""

import subprocess
import sys

import pytest

from tests.samples import ROOT

PROGRAM = """
import asyncio, sys, time
from service.server.watchdog import watch_for_stalls

async def run():
    busy_s = iter({busy_s})
    task = asyncio.create_task(watch_for_stalls({limit_s}, lambda: next(busy_s)))
    await asyncio.sleep(0.1)
    {then}
    task.cancel()
    await asyncio.sleep(2 * {limit_s})
    print("went on")

asyncio.run(run())
"""


def run(busy_s: str, then: str, limit_s: float = 0.5) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(busy_s=busy_s, then=then, limit_s=limit_s)
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "stuck",
    [
        "time.sleep(30)",
        # Nor does this one ever give the interpreter's lock away.
        "__import__('re').match('(a|a)*$', 'a' * 40 + 'b')",
    ],
)
def test_an_event_loop_that_stands_still(stuck: str) -> None:
    ended = run("[0.0] * 1000", stuck)
    assert ended.returncode == 1
    assert "most recent call first" in ended.stderr
    assert "in run" in ended.stderr


def test_a_network_that_stands_still() -> None:
    ended = run("[0.1, 0.4, 0.6]", "await asyncio.sleep(30)")
    assert ended.returncode == 1
    assert "the model has been at one call for 1 s; this process ends, to be replaced" in ended.stderr
    assert "most recent call first" in ended.stderr


def test_one_that_only_works_goes_on() -> None:
    ended = run("[0.4] * 1000", "[time.sleep(0.5) or await asyncio.sleep(0) for _ in range(8)]", limit_s=3)
    assert (ended.returncode, ended.stdout) == (0, "went on\n")
