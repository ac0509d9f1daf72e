"""Runs a command that takes minutes, and says every few seconds where it is. What it printed is shown if it fails.

On a terminal it is one line that changes. Needs no package: it runs while they are installed. Its exit status is that
of the command.
"""

import subprocess
import sys
import threading
import time

EVERY_S, EVERY_S_ON_A_TERMINAL = 5, 0.5
_MOST_SHOWN = 100


def main() -> None:
    """Run the command that the arguments are."""
    began = time.monotonic()
    terminal = sys.stdout.isatty()
    printed: list[str] = []
    with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as process:  # noqa: S603
        reader = threading.Thread(target=printed.extend, args=(process.stdout,))
        reader.start()
        while reader.is_alive():
            reader.join(EVERY_S_ON_A_TERMINAL if terminal else EVERY_S)
            if reader.is_alive():
                latest = printed[-1].strip() if printed else "…"
                line = f"  {time.monotonic() - began:3.0f} s  {latest[:_MOST_SHOWN]}"
                print(f"\r\033[K{line[:78]}" if terminal else line, end="" if terminal else "\n", flush=True)
    if terminal:
        print(end="\r\033[K")
    if process.returncode:
        print(*printed, sep="", end="")
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
