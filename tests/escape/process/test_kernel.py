"""Attempts on kernel interfaces with a history of holes, and on the filter itself."""

import pytest

from tests.escape.process.arena import Arena, Attempt
from tests.escape.process.check import check_control, check_held

ATTEMPTS = {
    "bpf": Attempt("return call(321, 0, room(), 64) >= 0"),
    "perf events": Attempt("return call(298, room(128), 0, -1, -1, 0) >= 0"),
    "userfaultfd": Attempt("return call(323, 1) >= 0"),
    "io_uring set-up": Attempt("return call(425, 1, room(256)) >= 0", control=True),
    "io_uring enter": Attempt("return call(426, 3, 1, 0, 0, None, 0) >= 0"),
    "io_uring register": Attempt("return call(427, 3, 0, room(), 1) >= 0"),
    "asynchronous I/O": Attempt("return call(206, 1, room(8)) == 0", control=True),
    "read a keyring": Attempt("return call(250, 0, -2, 1) != 0", control=True),
    "add a key": Attempt('return call(248, b"user", b"x", b"y", 1, -3) != 0'),
    "request a key": Attempt('return call(249, b"user", b"x", None, -3) != 0'),
    "mount": Attempt('return call(165, b"none", b"/", b"tmpfs", 0, None) == 0'),
    "unmount": Attempt('return call(166, b"/proc", 2) == 0'),
    "pivot root": Attempt('return call(155, b".", b".") == 0'),
    "fsopen": Attempt('return call(430, b"tmpfs", 0) >= 0'),
    "open a tree": Attempt('return call(428, -100, b"/", 1) >= 0'),
    "move a mount": Attempt('return call(429, -100, b"/", -100, b"/", 0) == 0'),
    "change a mount": Attempt('return call(442, -100, b"/", 0, room(32), 32) == 0'),
    "load a module": Attempt('return call(175, room(), 1, b"") == 0'),
    "load a module from a file": Attempt('return call(313, 3, b"", 0) == 0'),
    "unload a module": Attempt('return call(176, b"x", 0) == 0'),
    "load another kernel": Attempt("return call(246, 0, 0, None, 0) == 0"),
    "reboot": Attempt("return call(169, 0, 0, 0, None) == 0"),
    "swap": Attempt('return call(167, b"/x", 0) == 0'),
    "kernel log": Attempt("return call(103, 3, room(), 4096) > 0"),
    "I/O privilege": Attempt("return call(172, 3) == 0"),
    "I/O ports": Attempt("return call(173, 0x80, 1, 1) == 0"),
    "descriptor table": Attempt("return call(154, 0, room(), 16) >= 0", control=True),
    "process accounting": Attempt("return call(163, None) == 0"),
    "quotas": Attempt("return call(179, 0, None, 0, None) == 0"),
    "set the time": Attempt('return call(164, struct.pack("2q", 0, 0), None) == 0'),
    "set the clock": Attempt('return call(227, 0, struct.pack("2q", 0, 0)) == 0'),
    "adjust the clock": Attempt("return call(159, room(512)) >= 0", control=True),
    "domain name": Attempt('return call(171, b"x", 1) == 0'),
    "landlock rules": Attempt("return call(444, None, 0, 1) >= 0"),
    "legacy library load": Attempt('return call(134, b"x") == 0'),
    "terminal input": Attempt('return call(16, 0, 0x5412, b"x") == 0'),
    "system V memory": Attempt(
        "memory = call(29, 0, 4096, 0o1600); call(31, memory, 0, None); return memory >= 0",
        control=True,
    ),
    "attach memory": Attempt("return call(30, 0, 0, 0) > 0"),
    "system V queue": Attempt(
        "queue = call(68, 0, 0o1600); call(71, queue, 0, None); return queue >= 0", control=True
    ),
    "system V semaphores": Attempt(
        "held = call(64, 0, 1, 0o1600); call(66, held, 0, 0, None); return held >= 0", control=True
    ),
    "posix queue": Attempt(
        r"""
name = f"host-escape-{os.getpid()}".encode()
queue = call(240, name, 0o102, 0o600, struct.pack("8l", 0, 1, 1, 0, 0, 0, 0, 0))
call(241, name)
return queue >= 0
""",
        control=True,
    ),
    "executable memory": Attempt("return call(9, 0, 4096, 7, 0x22, -1, 0) > 0", control=True),
    "make memory executable": Attempt(
        r"""
base = call(9, 0, 4096, 3, 0x22, -1, 0)
return call(10, base, 4096, 5) == 0
""",
        control=True,
    ),
    "make memory executable with a key": Attempt(
        r"""
base = call(9, 0, 4096, 3, 0x22, -1, 0)
return call(329, base, 4096, 5, -1) == 0
""",
        control=True,
    ),
    "high bits around the memory check": Attempt(
        "return call(9, 0, 4096, (1 << 32) | 7, 0x22, -1, 0) > 0"
    ),
    "high bits around the descriptor check": Attempt(
        "return call(0, (1 << 32) | 0, room(), 0) == 0"
    ),
    "shared memory": Attempt("return call(9, 0, 4096, 3, 0x21, -1, 0) > 0", control=True),
    "validated shared memory": Attempt("return call(9, 0, 4096, 3, 0x23, -1, 0) > 0"),
    "map the wire": Attempt("return call(9, 0, 4096, 1, 0x02, 3, 0) > 0"),
    "wipe memory as poison": Attempt(r"""
base = call(9, 0, 4096, 3, 0x22, -1, 0)
return call(28, base, 4096, 100) == 0
"""),
    "mergeable memory": Attempt(r"""
base = call(9, 0, 4096, 3, 0x22, -1, 0)
return call(28, base, 4096, 12) == 0
"""),
    "lock memory": Attempt(
        r"""
base = call(9, 0, 4096, 3, 0x22, -1, 0)
return call(149, base, 4096) == 0
""",
        control=True,
    ),
    "lock all memory": Attempt("return call(151, 1) == 0"),
    "priority-inheriting futex": Attempt(
        "return call(202, room(8), 6 | 128, 0, None, None, 0) == 0", control=True
    ),
    "requeueing futex": Attempt(
        "return call(202, room(8), 3 | 128, 0, 0, room(8), 0) >= 0", control=True
    ),
    "robust futex list of another": Attempt("return call(274, 1, room(8), room(8)) == 0"),
    "futex vector": Attempt("return call(449, room(), 1, 0, None, 0) == 0"),
    "memory barrier": Attempt("return call(324, 0, 0, 0) >= 0", control=True),
    "restartable sequence": Attempt("return call(334, room(64), 32, 0, 0x53053053) == 0"),
    "memory policy": Attempt("return call(239, room(), None, 0, 0, 0) == 0", control=True),
    "move pages": Attempt("return call(279, 1, 0, None, None, None, 0) == 0"),
    "x32 numbers": Attempt('return call(0x40000000 | 257, -100, b"/etc/passwd", 0) > 2'),
    "x32 write": Attempt('return call(0x40000000 | 1, 3, b"x", 1) == 1'),
    "negative number": Attempt("return call(-1) >= 0"),
    "number beyond the table": Attempt("return call(100000) >= 0"),
    "virtual machine device": Attempt('return os.open("/dev/kvm", os.O_RDWR) >= 0'),
    "vmsplice": Attempt("return call(278, 3, room(), 1, 0) >= 0"),
    "tee": Attempt("return call(276, 3, 3, 1, 0) >= 0"),
    "watch queue": Attempt("return call(293, room(8), 0o200) == 0"),
    "shadow stack": Attempt("return call(453, 0, 4096, 0) > 0"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_kernel_attempt_fails_in_a_confined_worker(arena: Arena, name: str):
    check_held(arena, ATTEMPTS[name])


@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control])
def test_kernel_attempt_succeeds_outside(name: str):
    check_control(ATTEMPTS[name])
