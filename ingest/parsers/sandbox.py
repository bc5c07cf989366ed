"""What the parser's child process gives up before it reads the first file: the network, other programs, files.

Three layers, each where the system has it: Landlock (what may be read), a seccomp filter (which system calls there are) and
Python's audit hook (the same, said by the interpreter, on every system). None of them can be taken back.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN_EVENTS = (  # names of audit events, or what they begin with
    "socket.",
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
    "os.chmod",
    "os.chown",
    "os.kill",
    "os.killpg",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.removexattr",
    "os.rename",
    "os.rmdir",
    "os.setxattr",
    "os.symlink",
    "os.truncate",
    "os.utime",
    "shutil.",
    "tempfile.",
)

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL = 9

# System calls by number: x86-64, then arm64 (None: not there), from the kernel's asm/unistd_64.h and asm-generic/unistd.h.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None), "openat": (257, 56), "clone": (56, 220), "tgkill": (234, 131), "prlimit64": (302, 261),
    "clone3": (435, 435), "openat2": (437, 437), "io_uring_setup": (425, 425),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "kill": (62, 129), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setsid": (112, 157), "setpgid": (109, 154),
    "creat": (85, None), "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "truncate": (76, 45), "mknod": (133, None),
    "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "bpf": (321, 280),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51), "pivot_root": (155, 41),
    "unshare": (272, 97), "setns": (308, 268), "open_by_handle_at": (304, 265),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # which of the numbers, and the kernel's name for it
_CONDITIONAL = ("open", "openat", "clone", "tgkill", "prlimit64")
_NOT_THERE = ("clone3", "openat2", "io_uring_setup")  # callers go back to the older call, whose arguments can be looked at
_EPERM, _EACCES, _ENOSYS = 1, 13, 38
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions of the kernel's filter machine
_X32 = 0x40000000  # a second set of numbers on x86-64
_CLONE_THREAD = 0x00010000
_ARGUMENTS = 16  # where the arguments begin, eight bytes each, the lower half first

_LANDLOCK = (444, 445, 446)  # create_ruleset, add_rule, restrict_self: the same numbers everywhere
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FIRST_RIGHTS = (1 << 13) - 1  # of the first version; _REFER came with the second, _TRUNCATE with the third
_REFER, _TRUNCATE = 1 << 13, 1 << 14
# What libraries look at while they load or work: the loader's cache, time zones, fonts, randomness, the number of cores.
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/mime.types", "/dev/null",
    "/dev/random", "/dev/urandom", "/dev/zero", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys", "/proc/self",
    "/sys/devices/system", "/sys/fs/cgroup",
)  # fmt: skip


def close_up() -> frozenset[str]:
    """Give up what parsing needs none of; which layers hold here: `landlock`, `seccomp`, `audit`."""
    held = {"audit"}
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if _landlock(libc, readable()):
            held.add("landlock")
        if _seccomp(libc):
            held.add("seccomp")
    sys.addaudithook(_refuse)
    return frozenset(held)


def die_with(parent: int) -> None:
    """End this process when the thread that started it ends; at once, if `parent` is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def readable() -> list[str]:
    """The files and folders that a parser's libraries may load from: Python's own, ours, the system's."""
    package = Path(__file__).resolve().parents[1]
    prefixes = [sys.prefix, sys.base_prefix, sys.exec_prefix]
    # The folder that our package stands in is a checkout or one of Python's own; a checkout may hold anything.
    paths = [path for path in sys.path if path and Path(path).resolve() != package.parent]
    return [path for path in [*prefixes, *paths, str(package), *_SYSTEM] if os.path.exists(path)]


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, mode, flags = arguments
        if isinstance(mode, str) and set(mode) & set("wax+"):
            raise PermissionError(_EPERM, "a parser writes no files", str(path))
        if mode is None and isinstance(flags, int) and flags & _WRITING:
            raise PermissionError(_EPERM, "a parser writes no files", str(path))
    elif event.startswith(_FORBIDDEN_EVENTS) and event != "socket.gethostname":
        raise PermissionError(_EPERM, f"a parser may not do this: {event}")


def _seccomp(libc: ctypes.CDLL) -> bool:
    """Let the kernel refuse the system calls that a parser has no use for. False where it can't."""
    program = filter_program(platform.machine(), os.getpid())
    if not program:
        return False
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, and where they stand.
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    return bool(libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(header), 0, 0) == 0)


def filter_program(machine: str, pid: int) -> bytes:
    """The filter for a kind of processor as the kernel's instructions, eight bytes each; none for one that is not known."""
    if machine not in _MACHINES or sys.byteorder != "little":
        return b""
    column, architecture = _MACHINES[machine]
    number = {name: numbers[column] for name, numbers in _NUMBERS.items() if numbers[column] is not None}
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if machine == "x86_64":
        steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]

    def when(name: str, *body: tuple[int, int, int, int]) -> None:
        if name in number:
            steps.extend([(_EQUAL, 0, len(body), int(number[name] or 0)), *body])

    def argument(place: int) -> tuple[int, int, int, int]:
        return (_LOAD, 0, 0, _ARGUMENTS + 8 * place)

    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    for name, place in (("open", 1), ("openat", 2)):
        when(name, argument(place), (_ANY_OF, 0, 1, writing), (_RETURN, 0, 0, _ERRNO | _EACCES), (_RETURN, 0, 0, _ALLOW))
    # Threads are clones, too; processes are not allowed.
    when("clone", argument(0), (_ANY_OF, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW))
    # What a library's `abort()` does to its own process; its own limits.
    when("tgkill", argument(0), (_EQUAL, 1, 0, pid), (_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW))
    when("prlimit64", argument(0), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW))
    for name in _NUMBERS:
        if name not in _CONDITIONAL:
            when(name, (_RETURN, 0, 0, _ERRNO | (_ENOSYS if name in _NOT_THERE else _EPERM)))
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def _landlock(libc: ctypes.CDLL, paths: Iterable[str]) -> bool:
    """Let the kernel refuse to read anything but `paths`, and to write anywhere. False where it can't."""
    create, add, restrict = _LANDLOCK
    version = libc.syscall(create, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    rights = _FIRST_RIGHTS | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    attributes = ctypes.create_string_buffer(struct.pack("=Q", rights), 8)
    ruleset = libc.syscall(create, ctypes.byref(attributes), ctypes.c_size_t(8), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for path in paths:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                allowed = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
                rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, place), 12)
                libc.syscall(add, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0))
            finally:
                os.close(place)
        return bool(libc.syscall(restrict, ctypes.c_int(ruleset), ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)
