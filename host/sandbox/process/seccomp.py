"""The system-call filter: a hand-assembled BPF program with an allow-list and three outcomes.

A call on the list runs; a call that only an attack makes ends the process; any other fails with
EPERM, so that a library which merely probes carries on. Arguments are checked where a permitted
call has dangerous forms: only the wire's descriptor can be read and written, and no memory can
become executable or shared.
"""

import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence

from host.sandbox.process import kernel

_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_CALL = {"x86_64": 317, "aarch64": 277}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

_JUMP, _LD_WORD, _JEQ, _JGE, _JSET, _RET = 0x05, 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _DENY = 0x80000000, 0x7FFF0000, 0x00050000 | 1
_NR, _ARCH, _ARGS = 0, 4, 16

WIRE_FD = 3
"""The one descriptor that a worker may read and write."""

Check = tuple[int, str, Sequence[int]]
"""Argument index, `any_of` its value or `none_of`/`all_of` its bits, and the numbers meant."""

# name: (x86_64, aarch64); None where the architecture has no such call. Hot calls come first.
_ALLOWED: Mapping[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "mprotect": (10, 226),
    "futex": (202, 98),
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "clock_getres": (229, 114),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrusage": (98, 165),
    "sched_yield": (24, 124),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "prlimit64": (302, 261),
    "close": (3, 57),
    "exit": (60, 93),
    "exit_group": (231, 94),
}

_HOTTEST = ("read", "write")
_ROW = 4

_CHECKS: Mapping[str, Sequence[Check]] = {
    "read": [(0, "any_of", [WIRE_FD])],
    "write": [(0, "any_of", [WIRE_FD])],
    # PROT_EXEC would let native code in; MAP_SHARED outlives and crosses processes; MAP_ANONYMOUS
    # keeps the wire itself from being mapped.
    "mmap": [(2, "none_of", [0x4]), (3, "none_of", [0x1]), (3, "all_of", [0x20])],
    "mprotect": [(2, "none_of", [0x4])],
    "madvise": [(2, "any_of", [4, 8, 14])],  # DONTNEED, FREE, HUGEPAGE
    # Plain waits and wakes of one process: the priority-inheritance forms are a kernel attack.
    "futex": [(1, "any_of", [0x80, 0x81, 0x89, 0x8A, 0x180, 0x181, 0x189, 0x18A, 0, 1])],
    "clock_gettime": [(0, "any_of", list(range(12)))],  # never another process's CPU clock
    "clock_getres": [(0, "any_of", list(range(12)))],
    "getrusage": [(0, "any_of", [0])],
    # A worker lowers its own address space when it learns its plugin's limit; it cannot raise it.
    "prlimit64": [(0, "any_of", [0]), (1, "any_of", [9])],
}

# Nothing that Python does by itself leads here: attempting one ends the process.
_HOSTILE: Mapping[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "execve": (59, 221),
    "execveat": (322, 281),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "open_tree": (428, 428),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "personality": (135, 92),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "seccomp": (317, 277),
    "swapon": (167, 224),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "syslog": (103, 116),
    "vmsplice": (278, 75),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
}


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _argument_check(check: Check) -> list[bytes]:
    """Instructions that fall through when the check holds and return EPERM when not."""
    index, kind, numbers = check
    load = _instruction(_LD_WORD, _ARGS + 8 * index)  # low word: little-endian on both machines
    deny = _instruction(_RET, _DENY)
    if kind == "none_of":
        return [load, _instruction(_JSET, numbers[0], yes=0, no=1), deny]
    if kind == "all_of":
        return [load, _instruction(_JSET, numbers[0], yes=1, no=0), deny]
    tests = [
        _instruction(_JEQ, number, yes=len(numbers) - place) for place, number in enumerate(numbers)
    ]
    return [load, *tests, deny]


def _rule(number: int, body: list[bytes]) -> list[bytes]:
    return [_instruction(_JEQ, number, yes=0, no=len(body)), *body]


def _search(rules: Sequence[tuple[int, list[bytes]]]) -> list[bytes]:
    """Instructions that find a call's rule by halving; they always return.

    The kernel runs the filter for every call there is when it is installed, which a row of
    comparisons would make several times as long.
    """
    if len(rules) <= _ROW:
        row = [line for number, body in rules for line in _rule(number, body)]
        return [*row, _instruction(_RET, _DENY)]
    middle = len(rules) // 2
    below, above = _search(rules[:middle]), _search(rules[middle:])
    test = _instruction(_JGE, rules[middle][0], yes=0, no=1)
    return [test, _instruction(_JUMP, len(below)), *below, *above]


def program(machine: str) -> bytes:
    """Assembles the filter.

    Args:
        machine: `x86_64` or `aarch64`.

    Raises:
        OSError: No system-call numbers are known for the machine.
    """
    if machine not in _AUDIT_ARCH:
        msg = f"no system-call numbers are known for {machine}"
        raise OSError(msg)
    column = 0 if machine == "x86_64" else 1
    allow, kill = _instruction(_RET, _ALLOW), _instruction(_RET, _KILL)
    code = [
        # A call through another ABI (int 0x80, x32) has other numbers for the same calls.
        _instruction(_LD_WORD, _ARCH),
        _instruction(_JEQ, _AUDIT_ARCH[machine], yes=1, no=0),
        kill,
        _instruction(_LD_WORD, _NR),
        _instruction(_JGE, _X32_BIT, yes=0, no=1),
        kill,
    ]
    rules: dict[int, list[bytes]] = {}
    for name, numbers in _ALLOWED.items():
        number = numbers[column]
        if number is not None:
            checks = [line for check in _CHECKS.get(name, ()) for line in _argument_check(check)]
            rules[number] = [*checks, allow]
    for numbers in _HOSTILE.values():
        number = numbers[column]
        if number is not None:
            rules[number] = [kill]
    for name in _HOTTEST:
        number = _ALLOWED[name][column]
        if number is not None:
            code += _rule(number, rules.pop(number))
    return b"".join([*code, *_search(sorted(rules.items()))])


def prepare(machine: str) -> Callable[[], None]:
    """Assembles the filter now and returns the function that puts this process under it.

    Raises:
        OSError: No system-call numbers are known for the machine.
    """
    code = program(machine)
    memory = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(
        struct.pack("@HP", len(code) // 8, ctypes.addressof(memory))
    )

    def install(_keep: object = memory) -> None:
        kernel.syscall(_SECCOMP_CALL[machine], _SECCOMP_SET_MODE_FILTER, 0, header, what="seccomp")

    return install
