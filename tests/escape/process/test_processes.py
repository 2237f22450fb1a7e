"""Attempts to start, see, signal, trace or change any process."""

import pytest

from tests.escape.process.arena import Arena, Attempt
from tests.escape.process.check import check_control, check_held

ATTEMPTS = {
    "fork": Attempt(
        r"""
pid = os.fork()
if pid == 0:
    os._exit(0)
return pid
""",
        control=True,
    ),
    "vfork": Attempt("return call(58) > 0"),
    "fork system call": Attempt(r"""
pid = call(57)
if pid == 0:
    os._exit(0)
return pid
"""),
    "clone": Attempt(r"""
pid = call(56, 17, 0, 0, 0, 0)
if pid == 0:
    os._exit(0)
return pid
"""),
    "clone with new namespaces": Attempt(r"""
pid = call(56, 17 | 0x10000000, 0, 0, 0, 0)
if pid == 0:
    os._exit(0)
return pid
"""),
    "clone3": Attempt(
        r"""
arguments = struct.pack("11Q", 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
pid = call(435, arguments, 88)
if pid == 0:
    os._exit(0)
return pid
""",
        control=True,
    ),
    "thread": Attempt(
        r"""
import _thread
return _thread.start_new_thread(time.sleep, (0,))
""",
        control=True,
    ),
    "execve": Attempt('os.execve("/bin/sh", ["sh", "-c", "echo ESCAPED >&2"], {})'),
    "execve system call": Attempt('return call(59, b"/bin/true", None, None)'),
    "execveat": Attempt('return call(322, -100, b"/bin/true", None, None, 0)'),
    "execute a memory file": Attempt(r"""
fd = call(319, b"x", 0)
return call(322, fd, b"", None, None, 0x1000)
"""),
    "execute the wire": Attempt('return call(322, 3, b"", None, None, 0x1000)'),
    "os.system": Attempt('return os.system("true") == 0', control=True),
    "popen in C": Attempt(r"""
libc.popen.restype = ctypes.c_void_p
return libc.popen(b"true", b"r")
"""),
    "posix_spawn": Attempt('return os.posix_spawn("/bin/true", ["true"], {})', control=True),
    "signal everybody": Attempt(r"""
os.kill(-1, 9)
return True
"""),
    "signal the parent": Attempt(
        r"""
os.kill(os.getppid(), 0)
return True
""",
        control=True,
    ),
    "signal process 1": Attempt(r"""
os.kill(1, 15)
return True
"""),
    "signal a group": Attempt(r"""
os.killpg(0, 0)
return True
"""),
    "signal neighbours": Attempt(r"""
for pid in range(2, 200):
    try:
        os.kill(pid, 0)
    except OSError:
        continue
    return pid
"""),
    "signal a thread": Attempt("return call(200, 1, 15) == 0"),
    "tgkill": Attempt("return call(234, 1, 1, 15) == 0"),
    "queue a signal": Attempt("return call(129, 1, 15, room()) == 0"),
    "process descriptor": Attempt("return os.pidfd_open(os.getpid()) > 2", control=True),
    "signal through a descriptor": Attempt("return call(424, 3, 9, None, 0) == 0"),
    "steal a descriptor": Attempt("return call(438, 3, 0, 0) > 0"),
    "trace the parent": Attempt("return call(101, 16, os.getppid(), 0, 0) == 0"),
    "seize process 1": Attempt("return call(101, 0x4206, 1, 0, 0) == 0"),
    "be traced": Attempt("return call(101, 0, 0, 0, 0) == 0"),
    "read memory of process 1": Attempt("return call(310, 1, room(), 1, room(), 1, 0)"),
    "write memory of process 1": Attempt("return call(311, 1, room(), 1, room(), 1, 0)"),
    "compare processes": Attempt("return call(312, 1, 2, 0, 0, 0) >= 0"),
    "advise memory of another": Attempt("return call(440, 3, room(), 1, 4, 0)"),
    "wait for children": Attempt("return os.waitpid(-1, os.WNOHANG)"),
    "wait by descriptor": Attempt("return call(247, 0, 0, room(), 5, None) == 0"),
    "user id zero": Attempt(r"""
os.setuid(0)
return True
"""),
    "group id zero": Attempt(r"""
os.setgid(0)
return True
"""),
    "all three user ids": Attempt(r"""
os.setresuid(0, 0, 0)
return True
"""),
    "file system user id": Attempt("return call(122, 0) == 0"),
    "groups": Attempt(r"""
os.setgroups([0])
return True
"""),
    "capabilities": Attempt(r"""
header = struct.pack("Ii", 0x20080522, 0)
return call(126, header, struct.pack("6I", *[0xFFFFFFFF] * 6)) == 0
"""),
    "read capabilities": Attempt(
        'return call(125, struct.pack("Ii", 0x20080522, 0), room()) == 0', control=True
    ),
    "ambient capability": Attempt("return call(157, 47, 2, 21, 0, 0) == 0"),
    "become dumpable": Attempt("return call(157, 4, 1, 0, 0, 0) == 0", control=True),
    "outlive the parent": Attempt("return call(157, 1, 0, 0, 0, 0) == 0", control=True),
    "undo no_new_privs": Attempt("return call(157, 38, 0, 0, 0, 0) == 0"),
    "let anybody trace": Attempt("return call(157, 0x59616D61, -1, 0, 0, 0) == 0"),
    "adopt orphans": Attempt("return call(157, 36, 1, 0, 0, 0) == 0", control=True),
    "keep capabilities": Attempt("return call(157, 8, 1, 0, 0, 0) == 0"),
    "rename itself": Attempt('return call(157, 15, b"innocent", 0, 0, 0) == 0', control=True),
    "filter by prctl": Attempt("return call(157, 22, 2, room(), 0, 0) == 0"),
    "filter by seccomp": Attempt("return call(317, 1, 0, room()) == 0"),
    "seccomp notification": Attempt("return call(317, 3, 0, room()) == 0"),
    "thread pointer": Attempt("return call(158, 0x1003, room()) == 0"),
    "personality": Attempt("return call(135, 0x0040000) >= 0", control=True),
    "enter a namespace": Attempt("return call(308, 3, 0) == 0"),
    "new user namespace": Attempt("return call(272, 0x10000000) == 0"),
    "new mount namespace": Attempt("return call(272, 0x20000) == 0"),
    "new session": Attempt(r"""
os.setsid()
return True
"""),
    "new process group": Attempt(r"""
os.setpgid(0, 0)
return True
"""),
    "priority": Attempt(
        r"""
os.nice(0)
return True
""",
        control=True,
    ),
    "real-time scheduling": Attempt('return call(144, 0, 1, struct.pack("i", 1)) == 0'),
    "processor affinity": Attempt(
        r"""
os.sched_setaffinity(0, os.sched_getaffinity(0))
return True
""",
        control=True,
    ),
    "raise the memory limit": Attempt(r"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
return True
"""),
    "raise the descriptor limit": Attempt(r"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
return True
"""),
    "limits of process 1": Attempt(r"""
import resource
resource.prlimit(1, resource.RLIMIT_AS, (1, 1))
return True
"""),
    "interval timer": Attempt(
        'return call(38, 0, struct.pack("4q", 100, 0, 100, 0), None) == 0', control=True
    ),
    "posix timer": Attempt("return call(222, 1, None, room()) == 0"),
    "alarm": Attempt(
        r"""
libc.alarm(0)
return call(37, 0) == 0
""",
        control=True,
    ),
    "signal handler": Attempt(
        r"""
import signal
signal.signal(signal.SIGUSR1, lambda *a: None)
return True
""",
        control=True,
    ),
    "alternate signal stack": Attempt("return call(131, None, room()) == 0", control=True),
    "parent pid": Attempt("return os.getppid() > 1", control=True),
    "load average": Attempt("return os.getloadavg()", control=True),
    "system information": Attempt("return call(99, room()) == 0", control=True),
    "resources of children": Attempt(
        r"""
import resource
return resource.getrusage(resource.RUSAGE_CHILDREN)
""",
        control=True,
    ),
    "processor time of another process": Attempt("return time.clock_gettime((~2 << 3) | 2) >= 0"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_processes_attempt_fails_in_a_confined_worker(arena: Arena, name: str):
    check_held(arena, ATTEMPTS[name])


@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control])
def test_processes_attempt_succeeds_outside(name: str):
    check_control(ATTEMPTS[name])
