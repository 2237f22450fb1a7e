"""Confines a process to named folders with Landlock, where the kernel has it (Linux 5.13 on).

Landlock does not hold a process off sockets that have a path, such as that of the host's daemon: a
filter of system calls does.

Bundled servers and the program that parses documents call it on themselves before they touch
anything a stranger wrote. It imports nothing of this package, so that programs run by path can load
it. What it takes away cannot be had back, and holds for every child; it holds for root as well.
"""

import ctypes
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH, _NET_PORT = 1, 1, 2
_BIND, _CONNECT = 1 << 0, 1 << 1
_NO_NEW_PRIVS = 38
_CAPABILITIES_VERSION = 0x20080522
_KEPT_CAPABILITIES = 0b11111
"""Those over owners and permissions of files. Root's others see into processes, Landlock or not."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
# By the version that introduced them, as in the kernel's userspace API for Landlock.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL}
_TCP_RIGHTS = {4: _BIND | _CONNECT}
_SCOPES = {6: 0b11}  # abstract sockets of, and signals to, processes outside
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _EXECUTE | _READ_FILE | _READ_DIR

_SET_FILTER = 1
_ARCHITECTURES = {  # the kernel's name for it, and the numbers of `seccomp` and `socket`
    "x86_64": (0xC000003E, 317, 41),
    "aarch64": (0xC00000B7, 277, 198),
}
_IO_URING_SETUP, _X32_CALLS = 425, 0x40000000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | 13, 0x80000000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_AF_UNIX = 1


class _PathRule(ctypes.Structure):
    """`struct landlock_path_beneath_attr`, which is packed."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _PortRule(ctypes.Structure):
    """`struct landlock_net_port_attr`."""

    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


def landlock_version() -> int:
    """Return the kernel's Landlock version; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, _syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def confine(
    *,
    read: Iterable[str | Path],
    write: Iterable[str | Path] = (),
    ports: Iterable[int] | None = None,
    listen: Iterable[int] = (),
) -> bool:
    """Leave this process the named folders and files and no others; call it before any thread.

    Args:
        read: What may be read and executed, with everything below it; what is missing is left out.
        write: What may be changed as well.
        ports: To which TCP connections may be made; None: to any. Held from version 4 on.
        listen: Where connections may be awaited, if `ports` are given.

    Returns:
        Whether the process is confined now; False where the kernel has no Landlock.

    Raises:
        OSError: The kernel has it and refused; the process must not go on.
    """
    version = landlock_version()
    if version == 0:
        return False
    rights = _handled(_FILE_RIGHTS, version)
    words = [rights]
    if version >= 4:
        words.append(0 if ports is None else _handled(_TCP_RIGHTS, version))
    if version >= 6:
        words.append(_handled(_SCOPES, version))
    attributes = (ctypes.c_uint64 * len(words))(*words)
    ruleset = _checked(_syscall(_CREATE_RULESET, attributes, ctypes.sizeof(attributes), 0))
    try:
        for allowed, paths in ((_READ, read), (rights & ~_IOCTL, write)):
            for path in paths:
                _allow(ruleset, path, allowed & rights)
        if version >= 4 and ports is not None:
            for right, numbers in ((_CONNECT, ports), (_BIND, listen)):
                for number in numbers:
                    rule = _PortRule(right, number)
                    _checked(_syscall(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(rule), 0))
        _take_no_privileges()
        _drop_capabilities()
        _checked(_syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_local_sockets() -> bool:
    """Refuse this process and its children every new socket to programs on this machine by path.

    `socketpair` stays allowed, TCP and UDP too; io_uring, which could make sockets past the filter,
    does not.

    Returns:
        Whether they are refused now; False on systems other than Linux on x86-64 and ARM64.

    Raises:
        OSError: The kernel refused; the process must not go on.
    """
    known = _ARCHITECTURES.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        return False
    architecture, seccomp, socket = known
    rows = [
        (_LOAD, 0, 0, _ARCH),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 5, 0, _X32_CALLS),
        (_IF_EQUAL, 4, 0, _IO_URING_SETUP),
        (_IF_EQUAL, 0, 2, socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 1, 0, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    code = b"".join(struct.pack("=HBBI", *row) for row in rows)
    program = _Program(len(rows), code)
    _take_no_privileges()
    _checked(_syscall(seccomp, _SET_FILTER, 0, ctypes.byref(program)))
    return True


def program_paths() -> list[str]:
    """Return what a Python program and its libraries are read from, and nothing of the user's."""
    own = {sys.prefix, sys.base_prefix, sys.exec_prefix, *(p for p in sys.path if p)}
    return [*own, "/usr", "/lib", "/lib64", "/bin", "/dev/null", "/dev/zero", "/dev/urandom"]


def system_paths() -> list[str]:
    """Return what a program that uses the network or other programs reads besides."""
    return ["/etc", "/proc", "/run/systemd/resolve", "/sys/devices/system", "/dev/random"]


def _allow(ruleset: int, path: str | Path, allowed: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no right
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= _OF_A_FILE
        rule = _PathRule(allowed, descriptor)
        _checked(_syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(descriptor)


def _take_no_privileges() -> None:
    _checked(ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))


def _drop_capabilities() -> None:
    """Give up what makes root more than the owner of all files: it would see others' secrets."""
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then of higher numbers
    _checked(library.capget(header, sets))
    for place in range(6):
        sets[place] &= _KEPT_CAPABILITIES if place < 3 else 0
    _checked(library.capset(header, sets))


def _handled(rights: dict[int, int], version: int) -> int:
    return sum(bits for since, bits in rights.items() if since <= version)


def _syscall(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(library.syscall(ctypes.c_long(number), *given))


def _checked(outcome: int) -> int:
    if outcome < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock refused: {os.strerror(number)}")
    return outcome
