"""The load generators, against a real server."""

import shutil
from pathlib import Path

import pytest

from benchmarks import load, servers
from tests.samples import SAMPLE_FILES, left_out_without

needs_tools = left_out_without(
    shutil.which("wrk") is not None and shutil.which("h2load") is not None, "wrk and h2load (nghttp2-client)"
)
BOOTS_FIRST = SAMPLE_FILES[::-1]


def test_a_missing_tool_is_told_with_the_package_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(load.ToolMissing, match="apt-get install wrk"):
        load.check_tools()


def test_bodies_hold_so_many_images_each(tmp_path: Path) -> None:
    bodies = load.write_bodies(tmp_path / "bodies", SAMPLE_FILES, "files", 64)
    assert bodies.count == 3
    assert bodies.first.read_bytes().count(b'name="files"') == 64
    raw = load.write_bodies(tmp_path / "raw", SAMPLE_FILES, None)
    assert (raw.count, raw.content_type) == (200, "image/png")
    assert raw.first.read_bytes() == SAMPLE_FILES[0].read_bytes()


@needs_tools
def test_a_server_is_started_driven_overloaded_and_stopped(tmp_path: Path) -> None:
    load.check_tools()
    bodies = load.write_bodies(tmp_path / "bodies", BOOTS_FIRST, None)
    with servers.started(servers.FLOOR, bodies) as running:
        assert running.memory_mb() > 20
        found = load.drive(running.url + "/short", bodies, 4, 1)
        assert found.errors == 0
        assert found.requests_per_s > 0
        assert 0 < found.p50_ms <= found.p99_ms
        assert load.drive(running.url + "/nowhere", bodies, 4, 1).errors > 0
        answers = load.overload(running.url + "/short", bodies, 4, 200, 1, tmp_path / "log")
        assert answers.counts.keys() == {200}
        assert answers.p99_ms[200] > 0
    assert not running.process.is_running()


def test_a_server_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = load.write_bodies(tmp_path / "bodies", BOOTS_FIRST, None)
    broken = servers.Program("broken", ("false",), servers.FLOOR.doors)
    with pytest.raises(RuntimeError, match="broken did not answer"), servers.started(broken, bodies):
        pass
