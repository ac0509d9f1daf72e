"""Starts the recipe on a Ray of its own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port
from tests.samples import CONVERTED, ROOT

PYTHON = ROOT / ".venv-ray" / "bin" / "python"


@contextmanager
def ray_cluster(replicas: int, **environment: str) -> Iterator[tuple[str, int]]:
    """The address of Ray's proxy before so many replicas, and the process that started all of it."""
    port = free_port()
    ours = {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", "SERVICE_CACHE_DIR": str(CONVERTED)}
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        cluster = subprocess.Popen(
            [PYTHON, "-m", "tests.ray.cluster", str(port), str(replicas), folder],
            cwd=ROOT,
            env=os.environ | ours | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        try:
            assert "ready\n" in iter(cluster.stdout.readline, ""), "Ray or the service did not start"
            yield f"http://127.0.0.1:{port}", cluster.pid
        finally:
            cluster.stdin.close()
            cluster.wait(60)
            cluster.stdout.close()
