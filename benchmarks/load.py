"""Drives a server with wrk, and with h2load where more is asked of it than it can do. Knows no server."""

import csv
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

_SCRIPT = Path(__file__).with_name("requests.lua")
_BOUNDARY = "0123456789abcdef"


class ToolMissing(Exception):
    """A load generator is not installed. The text says how to get it."""


@dataclass(frozen=True)
class BodyLimits:
    """Request bodies as the files 1, 2, … of a folder, all of one content type."""

    folder: Path
    count: int
    content_type: str

    @property
    def first(self) -> Path:
        """The file of the first one."""
        return self.folder / "1"


@dataclass(frozen=True)
class Load:
    """What one run of wrk found: requests/s, milliseconds, and how many had no answer or one of 400 or more."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


@dataclass(frozen=True)
class Answers:
    """What h2load got: for each status how many, and the 99th percentile of its milliseconds; 0 is no answer at all."""

    counts: dict[int, int]
    p99_ms: dict[int, float]


def check_tools() -> None:
    """Raises ToolMissing."""
    for tool, package in (("wrk", "wrk"), ("h2load", "nghttp2-client")):
        if shutil.which(tool) is None:
            raise ToolMissing(f"{tool} is needed, which is not installed here: apt-get install {package}")


def write_bodies(folder: Path, images: Sequence[Path], field: str | None, images_each: int = 1) -> BodyLimits:
    """BodyLimits of so many images each: as parts named `field` of a multipart form, or the raw image without one."""
    folder.mkdir(parents=True)
    count = len(images) // images_each
    for number in range(1, count + 1):
        group = images[(number - 1) * images_each : number * images_each]
        (folder / str(number)).write_bytes(_form(field, group) if field else group[0].read_bytes())
    content_type = f"multipart/form-data; boundary={_BOUNDARY}" if field else "image/png"
    return BodyLimits(folder, count, content_type)


def drive(url: str, bodies: BodyLimits, connections: int, seconds: int) -> Load:
    """Send as fast as answers come on so many connections."""
    finished = subprocess.run(
        ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "30s",
         "--script", _SCRIPT, url, "--", bodies.folder, str(bodies.count), bodies.content_type],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(finished.stdout.splitlines()[-1])
    return Load(found["requests"] / found["seconds"], found["p50_ms"], found["p99_ms"], found["errors"])


def overload(url: str, bodies: BodyLimits, connections: int, requests_per_s: float, seconds: int, log: Path) -> Answers:
    """Send `requests_per_s` over all connections, whether answers come or not; `log` is written, a line a request."""
    subprocess.run(
        ["h2load", "--h1", "--threads", "1", "--clients", str(connections), "--duration", str(seconds),
         "--rps", f"{requests_per_s / connections:.3f}", "--data", bodies.first,
         "--header", f"content-type: {bodies.content_type}", "--log-file", log, url],
        capture_output=True, check=True,
    )  # fmt: skip
    times: dict[int, list[float]] = {}
    with log.open(newline="") as lines:
        for _start, status, microseconds in csv.reader(lines, delimiter="\t"):
            times.setdefault(max(0, int(status)), []).append(int(microseconds) / 1000)
    return Answers(
        {status: len(found) for status, found in times.items()},
        {status: sorted(found)[int(0.99 * (len(found) - 1))] for status, found in times.items()},
    )


def first_answer(url: str, bodies: BodyLimits, timeout_s: float) -> httpx.Response:
    """The answer to the first body. Raises httpx.TransportError where nobody listens yet."""
    headers = {"Content-Type": bodies.content_type}
    return httpx.post(url, content=bodies.first.read_bytes(), headers=headers, timeout=timeout_s)


def _form(field: str, images: Sequence[Path]) -> bytes:
    head = 'Content-Disposition: form-data; name="{}"; filename="{}"\r\nContent-Type: image/png\r\n\r\n'
    parts = (
        b"--%b\r\n%b%b\r\n" % (_BOUNDARY.encode(), head.format(field, file.name).encode(), file.read_bytes())
        for file in images
    )
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
