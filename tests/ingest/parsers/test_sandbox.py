"""What the parser's child has given up: asked of Python, and past it, of the kernel."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.parsers.sandbox import filter_program, readable

# Each is tried in a process that has closed itself up; the answer is what came of it.
PROGRAM = """
import ctypes, errno, json, os, sys
sys.argv = sys.argv[:1]
from ingest.parsers.sandbox import close_up
secret, folder = {secret!r}, {folder!r}
libc = ctypes.CDLL(None, use_errno=True)
layers = close_up()
def python(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "done"
def kernel(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]
def thread():
    import threading
    ran = []
    one = threading.Thread(target=lambda: ran.append(1)); one.start(); one.join()
    assert ran
import socket, subprocess
found = {{
    "layers": sorted(layers),
    "socket": python(lambda: socket.socket()),
    "connect": python(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
    "run": python(lambda: subprocess.run(["/bin/true"])),
    "system": python(lambda: os.system("true")),
    "fork": python(lambda: os.fork() or os._exit(0)),
    "write": python(lambda: open(folder + "/made.txt", "w")),
    "remove": python(lambda: os.remove(secret)),
    "read secret": python(lambda: open(secret).read()),
    "read library": python(lambda: open(os.__file__).read()),
    "thread": python(thread),
    "kernel socket": kernel("socket", 2, 1, 0),
    "kernel unix socket": kernel("socket", 1, 1, 0),
    "kernel open to write": kernel("open", (folder + "/made.txt").encode(), os.O_CREAT | os.O_WRONLY, 0o600),
    "kernel open to read": kernel("open", secret.encode(), os.O_RDONLY),
    "kernel unlink": kernel("unlink", secret.encode()),
    "kernel execv": kernel("execv", b"/bin/true", (ctypes.c_char_p * 2)(b"true", None)),
    "kernel kill": kernel("kill", os.getppid(), 0),
    "kernel ptrace": kernel("ptrace", 16, os.getppid(), 0, 0),
    "kernel fork": kernel("fork"),
}}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sandbox")
    secret = folder / "secret.txt"
    secret.write_text("a key")
    program = PROGRAM.format(secret=str(secret), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, text=True)
    assert list(folder.iterdir()) == [secret]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_python_is_refused_everywhere(found: dict[str, Any]) -> None:
    assert "audit" in found["layers"]
    for what in ("socket", "connect", "run", "system", "fork", "write", "remove"):
        assert found[what] in ("EPERM", "EACCES"), what
    assert (found["read library"], found["thread"]) == ("done", "done")


def test_the_kernel_refuses_it_too(found: dict[str, Any]) -> None:
    if "seccomp" not in found["layers"]:
        pytest.skip("this system has no seccomp filters")
    for what in ("socket", "unix socket", "open to write", "unlink", "execv", "kill", "ptrace", "fork"):
        assert found[f"kernel {what}"] in ("EPERM", "EACCES"), what


def test_files_of_others_can_not_be_read(found: dict[str, Any]) -> None:
    if "landlock" not in found["layers"]:
        pytest.skip("this system has no Landlock")
    assert (found["read secret"], found["kernel open to read"]) == ("EACCES", "EACCES")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_lands_on_an_instruction(machine: str) -> None:
    program = filter_program(machine, 4242)
    steps = list(struct.iter_unpack("<HBBI", program))
    assert 0 < len(steps) <= 4096  # the most that the kernel takes
    for place, (_, yes, no, _) in enumerate(steps):
        assert place + 1 + max(yes, no) < len(steps) or steps[place][0] == 0x06
    assert steps[-1] == (0x06, 0, 0, 0x7FFF0000)
    assert filter_program("vax", 1) == b""


def test_what_may_be_read_holds_no_checkout() -> None:
    root = Path(__file__).resolve().parents[3]
    assert str(root) not in readable() and str(root / "ingest") in readable()
