"""Fetches the wheels that an image for arm64 is built from, on any machine, and fails where one is missing.

pip would look at the markers of the machine that it runs on, so that those of the other one are looked at here.
"""

import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

PYTHON = "3.12"  # of the image
# What wheels may be made for: all up to the C library of Debian 12 and 13.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)] + ["manylinux2014_aarch64", "linux_aarch64"]
MACHINE = {
    "platform_machine": "aarch64",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}


def needed(listed: str) -> list[str]:
    """The entries of a list with hashes that an image for arm64 installs, without their markers."""
    found = []
    for entry in listed.replace("\\\n", " ").splitlines():
        if not entry or entry.startswith("#"):
            continue
        said, *hashes = entry.split(" --hash=")
        requirement = Requirement(said)
        if requirement.marker is None or requirement.marker.evaluate(MACHINE):
            found.append(" --hash=".join([f"{requirement.name}{requirement.specifier}", *map(str.strip, hashes)]))
    return found


def main(listed: Path, folder: Path) -> int:
    """Fetch what `listed` has into `folder`; pip's status, 0 where all wheels are there and have a hash of the list."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = needed(listed.read_text())
    chosen = folder / "requirements.txt"
    chosen.write_text("\n".join(entries) + "\n")
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    options = ["--only-binary=:all:", "--require-hashes", "--no-deps", "--python-version", PYTHON, *platforms]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, *options, "-r", chosen]
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - pip, and what we lock
    wheels = list(folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels)
    sys.stdout.write(f"{len(wheels)} wheels of {len(entries)} for arm64, {size / 1e6:,.0f} MB, in {folder}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
