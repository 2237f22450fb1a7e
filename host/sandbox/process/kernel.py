"""The Linux calls that confinement needs and the standard library has no name for."""

import ctypes
import os
import platform

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_HEADER = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()
_CAPABILITIES = tuple(ctypes.c_ulong(number) for number in range(64))

PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
CAPSET = {"x86_64": 126, "aarch64": 91}

libc = ctypes.CDLL(None, use_errno=True)


def machine() -> str:
    """Returns the architecture whose system-call numbers apply."""
    return platform.machine()


def check(outcome: int, *, what: str) -> int:
    """Turns the C convention of -1 and errno into an exception.

    Raises:
        OSError: The call failed; its text says which.
    """
    if outcome < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return outcome


def syscall(number: int, *arguments: object, what: str) -> int:
    """Makes a system call by number.

    Raises:
        OSError: The kernel refused.
    """
    whole = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return check(libc.syscall(ctypes.c_long(number), *whole), what=what)


def prctl(option: int, *arguments: int) -> int:
    """Changes an attribute of this process.

    Raises:
        OSError: The kernel refused.
    """
    values = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    return check(libc.prctl(ctypes.c_int(option), *values), what=f"prctl {option}")


def unshare(flags: int) -> None:
    """Moves this process into new namespaces (its next child, for the pid namespace).

    Raises:
        OSError: The kernel or the container refused.
    """
    check(libc.unshare(flags), what="unshare")


def setns(fd: int, kind: int) -> None:
    """Enters the namespace that `fd` stands for.

    Raises:
        OSError: The kernel refused.
    """
    check(libc.setns(fd, kind), what="setns")


def empty_root() -> None:
    """Replaces the root of this mount namespace by an empty read-only folder.

    Raises:
        OSError: The kernel refused.
    """
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), what="mount private")
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    check(libc.mount(b"none", b"/proc", b"tmpfs", flags, b"size=4k,mode=0555"), what="mount tmpfs")
    os.chdir("/proc")
    # The same folder as new and old root: the old one ends up on top of the new and is detached.
    syscall(PIVOT_ROOT[machine()], b".", b".", what="pivot_root")
    check(libc.umount2(b".", MNT_DETACH), what="umount old root")
    os.chdir("/")
    remount = MS_REMOUNT | MS_BIND | MS_RDONLY | flags
    check(libc.mount(b"none", b"/", None, remount, None), what="remount read-only")


def drop_capabilities() -> None:
    """Gives up every capability, for good.

    Raises:
        OSError: The kernel refused.
    """
    prctl = libc.prctl  # by itself: some forty calls, while somebody waits for a worker
    for capability in _CAPABILITIES:
        if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # beyond the kernel's last one, or without the right to lower the bound
    libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
    syscall(CAPSET[machine()], _CAPABILITY_HEADER, _NO_CAPABILITIES, what="capset")
