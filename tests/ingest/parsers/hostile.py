"""Workers that do not do as they should, to be run in the place of the real one: `python -m … MEMORY SECONDS OUTPUT PARENT`
with the way in the variable `PYTHON_HOSTILE`."""

from __future__ import annotations

import os
import sys
import time


def main() -> None:
    """Misbehave in one way."""
    way = os.environ["PYTHON_HOSTILE"]
    if way == "ignores its input":
        time.sleep(600)
    sys.stdin.buffer.read(1)
    if way == "floods its output":
        while True:
            os.write(1, b"\xff" * 65536)
    if way == "floods its output slowly":
        os.write(1, (2).to_bytes(8, "big") + (1 << 20).to_bytes(8, "big") + b"{}")
        while True:
            os.write(1, b"x")
            time.sleep(0.05)
    if way == "claims a huge answer":
        os.write(1, (2).to_bytes(8, "big") + (1 << 60).to_bytes(8, "big") + b"{}")
        time.sleep(600)
    if way == "forks and leaves":
        # The grandchild, in a session of its own, holds both pipes open.
        if os.fork() == 0:
            os.setsid()
            time.sleep(20)
        os._exit(0)
    if way == "stops itself":
        os.kill(os.getpid(), 19)
    if way == "closes its output":
        os.close(1)
        time.sleep(600)


main()
